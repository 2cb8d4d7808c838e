"""Batches of training samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

PictureKey = tuple[int, int, bool]
"""Cache key of a picture in `Encodings`: clip, frame, mirrored."""

SIGNAL_PREFIX = "signal:"
"""Prefix of the columns that hold signals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleBatch:
    """B samples of F target frames.

    `samples_B`: int64 sample numbers of the run. `clips_B`: int64 indices of the clips in the corpus.
    `targets_BFHWC`, `poses_BFHWC`, `references_BHWC`, `reference_poses_BHWC`: uint8 RGB. Skeletons in `poses_BFHWC` are
      augmented with `SamplingConfig.explicit_indicator`. Targets and references are None where stored features replace
      them.
    `keypoints_BGK3`: float32 keypoints of the reference and the G − 1 = F targets, in pixels of the pictures, without
      augmentation. `pose_keypoints_BFK3`: float32 keypoints drawn in `poses_BFHWC`.
    `target_frames_BF`, `reference_frames_B`: frame indices in the clip. `mirrored_B`: whether pictures are mirrored.
    `latents_BGCHW`, `embeddings_BGE`: float16 features of the G pictures, as stored by `prepare`; None: to be computed.
    `signals`: system-specific signals (`models.animation.signals`) by name, each (B, …).
    """

    samples_B: NDArray[np.int64]
    clips_B: NDArray[np.int64]
    poses_BFHWC: NDArray[np.uint8]
    reference_poses_BHWC: NDArray[np.uint8]
    keypoints_BGK3: NDArray[np.float32]
    pose_keypoints_BFK3: NDArray[np.float32]
    target_frames_BF: NDArray[np.int64]
    reference_frames_B: NDArray[np.int64]
    mirrored_B: NDArray[np.bool_]
    targets_BFHWC: NDArray[np.uint8] | None = None
    references_BHWC: NDArray[np.uint8] | None = None
    latents_BGCHW: NDArray[np.float16] | None = None
    embeddings_BGE: NDArray[np.float16] | None = None
    signals: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples_B)

    @property
    def target_keys(self) -> list[PictureKey]:
        """Cache keys of the targets, row by row."""
        return [
            (int(clip), int(frame), bool(mirrored))
            for clip, frames, mirrored in zip(self.clips_B, self.target_frames_BF, self.mirrored_B, strict=True)
            for frame in frames
        ]

    @property
    def reference_keys(self) -> list[PictureKey]:
        """Cache keys of the references."""
        return [
            (int(clip), int(frame), bool(mirrored))
            for clip, frame, mirrored in zip(self.clips_B, self.reference_frames_B, self.mirrored_B, strict=True)
        ]

    @classmethod
    def of(cls, samples: Sequence[SampleBatch]) -> SampleBatch:
        """Concatenate batches that have the same columns."""
        columns = [sample.columns() for sample in samples]
        return cls.from_columns({name: np.concatenate([each[name] for each in columns]) for name in columns[0]})

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> SampleBatch:
        """Inverse of `columns`."""
        arrays = {name: np.asarray(values) for name, values in columns.items()}
        signals = {name: array for name, array in arrays.items() if name.startswith(SIGNAL_PREFIX)}
        return cls(
            **{name: array for name, array in arrays.items() if name not in signals},
            signals={name.removeprefix(SIGNAL_PREFIX): array for name, array in signals.items()},
        )

    def columns(self) -> dict[str, Any]:
        """Arrays by name, without those that are None."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "signals"}
        arrays = {name: value for name, value in values.items() if value is not None}
        return arrays | {f"{SIGNAL_PREFIX}{name}": array for name, array in self.signals.items()}
