"""Training samples, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleBatch:
    """B samples of F target frames.

    `samples_B`: int64, their numbers in the run's order. `clips_B`: int64, which clip of the corpus each is of.
    `targets_BFHWC`, `poses_BFHWC`, `references_BHWC`, `reference_poses_BHWC`: uint8 RGB.
    `target_frames_BF`, `reference_frames_B`, `mirrored_B`: which frames of the clip they are, flipped or not.
    """

    samples_B: NDArray[np.int64]  # noqa: N815
    clips_B: NDArray[np.int64]  # noqa: N815
    targets_BFHWC: NDArray[np.uint8]  # noqa: N815
    poses_BFHWC: NDArray[np.uint8]  # noqa: N815
    references_BHWC: NDArray[np.uint8]  # noqa: N815
    reference_poses_BHWC: NDArray[np.uint8]  # noqa: N815
    target_frames_BF: NDArray[np.int64]  # noqa: N815
    reference_frames_B: NDArray[np.int64]  # noqa: N815
    mirrored_B: NDArray[np.bool_]  # noqa: N815

    def __len__(self) -> int:
        return len(self.samples_B)

    @classmethod
    def of(cls, samples: Sequence[SampleBatch]) -> SampleBatch:
        """Several batches as one."""
        return cls(**{f.name: np.concatenate([getattr(sample, f.name) for sample in samples]) for f in fields(cls)})

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> SampleBatch:
        """From what `columns` gave."""
        return cls(**{field.name: np.asarray(columns[field.name]) for field in fields(cls)})

    def columns(self) -> dict[str, Any]:
        """Its arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
