"""Keypoints, stored features, scenes and frames of prepared clips for training samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.appearance.packing import STORED, unpack
from models.finite import NotFiniteError, check_finite
from models.pose.skeleton import NUM_KEYPOINTS
from models.training.recipe import SamplingConfig
from models.training.sample_spec import SampleSpec, covering_short_side
from models.video.window import working_size
from pipelines.engine.ledger import Ledger
from pipelines.training.clip_scene import ClipScene, CodedScene
from pipelines.training.corpus import Corpus, scene_columns
from pipelines.training.ground_truth import true_keypoints, true_keypoints_and_scene
from pipelines.training.stored_features import StoredFeatures
from stages.base import Row
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.io.storage import Storage
from stages.outcome import BadRow, Reason

_CODE_BYTES_PER_PIXEL = 0.1
"""Run-length codes and coded depth; puppets of 256 x 256 take 0.05 to 0.08."""
_DECODED_MULTIPLE = 2
"""Decoded frames are cropped to size afterwards; a coarser multiple would change their aspect."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipData:
    """Keypoints, features, scene and frames of a whole clip, or of one sample (reference first).

    `frames`: None, or only the frame of the reference, if stored features replace pictures; None in a clip whose frames
    are not kept. `scene`: with masks of the frames' size; coded without frames.
    """

    keypoints: NDArray[np.float32]
    latents: NDArray[np.float16] | None
    embeddings: NDArray[np.float16] | None
    frames: NDArray[np.uint8] | None = None
    scene: ClipScene | CodedScene | None = None

    def select(self, indices: list[int]) -> ClipData:
        """Select frames by index."""
        return ClipData(
            keypoints=self.keypoints[indices],
            latents=None if self.latents is None else self.latents[indices],
            embeddings=None if self.embeddings is None else self.embeddings[indices],
            frames=None if self.frames is None else self.frames[indices],
            scene=None if self.scene is None else self.scene.select(indices),
        )


class ClipSource:
    """Reads the clips of a corpus. Owns a decoder process.

    Clips are cached if all fit into `keep_bytes`; or else all but their frames, if that fits.

    Args:
        stored: stored features that replace pictures; None: all frames of a sample are decoded.
        decode: decoder settings.
        truth: folder with the ground truth of puppet videos; None: keypoints and scene of the dataset.
    """

    def __init__(
        self,
        corpus: Corpus,
        sampling: SamplingConfig,
        *,
        stored: StoredFeatures | None,
        decode: DecodeConfig,
        truth: Storage | None,
        keep_bytes: float,
    ) -> None:
        self._sampling, self._stored, self._truth = sampling, stored, truth
        self._num_pictures = num_pictures(stored)
        self._ledger = Ledger(Storage(corpus.url), "clip_id")
        self._reader = ClipReader(decode)
        signals_bytes = _signals_bytes(corpus, sampling, stored)
        self._keep_signals = signals_bytes <= keep_bytes
        self._keep_frames = signals_bytes + _pictures_bytes(corpus, sampling, stored) <= keep_bytes
        self._kept: dict[int, ClipData] = {}

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()

    def open(self, clip: int, row: Row) -> ClipData:
        """Read a whole clip, for `read`; without frames unless they are kept.

        `clip`: index of the clip in `Corpus.all_clips`. `row`: its row.

        Raises:
            BadRow: the clip can no longer be read.
        """
        if clip in self._kept:
            return self._kept[clip]
        data = self._signals(row)
        if self._keep_frames and self._num_pictures != 0:
            data = _with_frames(data, self._frames(row, 0, row["num_frames"], 1))
        if self._keep_signals:
            self._kept[clip] = data
        return data

    def read(self, data: ClipData, row: Row, spec: SampleSpec) -> ClipData:
        """Select the reference and the targets of a sample from a clip (`open`), and decode their frames if not kept.

        Raises:
            BadRow: the clip can no longer be read.
        """
        try:
            selected = data.select([spec.reference, *spec.targets])
        except (TypeError, ValueError) as error:
            raise BadRow(Reason.INVALID_ROW, str(error)) from error
        if data.frames is not None or self._num_pictures == 0:
            return selected
        parts = [self._frames(row, spec.reference, 1, 1)]
        if self._num_pictures is None:
            step = spec.targets[1] - spec.targets[0] if len(spec.targets) > 1 else 1
            parts.append(self._frames(row, spec.targets[0], len(spec.targets), step))
        return _with_frames(selected, np.concatenate(parts))

    def _frames(self, row: Row, first: int, num_frames: int, step: int) -> NDArray[np.uint8]:
        window = {
            "start_seconds": row["start_seconds"] + first * row["frame_step"] / row["fps"],
            "num_frames": num_frames,
            "frame_step": row["frame_step"] * step,
        }
        short_side_px = covering_short_side((row["height_px"], row["width_px"]), self._sampling)
        clip = self._reader.frames({**row, **window}, short_side_px=short_side_px, multiple=_DECODED_MULTIPLE)
        frames: NDArray[np.uint8] = clip.frames
        return frames

    def _signals(self, row: Row) -> ClipData:
        """Read keypoints, stored features and scene of a clip from the dataset, or from the ground truth; scenery has
        no keypoints.
        """
        if row["file"] is None:
            shape = (row["num_frames"], NUM_KEYPOINTS, 3)
            return ClipData(keypoints=np.zeros(shape, np.float32), latents=None, embeddings=None)
        features: dict[str, tuple[int, ...]] = {}
        if self._stored is not None:
            features = {"vae_latents": self._stored.latent_shape, "clip_embeddings": self._stored.embedding_shape}
        more = [] if self._truth is None else ["frame_seconds"]
        if self._sampling.scene is not None:
            more += scene_columns(truth=self._truth is not None)
        columns = ["work_key", "keypoints", *more, *features]
        stored = self._ledger.read_row(row["file"], row["clip_id"], columns=columns)
        if stored is None or stored["work_key"] != row["work_key"]:
            raise BadRow(Reason.SOURCE_CHANGED, "its row was rewritten after the start of training")
        for name in ("keypoints", *features):
            if len(stored[name]) != row["num_frames"]:
                raise BadRow(Reason.INVALID_ROW, f"{row['num_frames']} frames, but {name} of {len(stored[name])}")
        try:
            unpacked = {name: unpack(stored[name], shape) for name, shape in features.items()}
            keypoints, scene = self._keypoints_and_scene({**row, **stored})
        except (TypeError, ValueError) as error:
            raise BadRow(Reason.INVALID_ROW, str(error)) from error
        arrays: dict[str, NDArray[Any]] = {"keypoints": keypoints, **unpacked}
        try:
            for name, values in arrays.items():
                check_finite(values, name)
        except NotFiniteError as error:  # one such sample would spoil the whole network
            raise BadRow(Reason.NOT_FINITE, str(error)) from error
        return ClipData(
            keypoints=keypoints,
            latents=unpacked.get("vae_latents"),
            embeddings=unpacked.get("clip_embeddings"),
            scene=scene,
        )

    def _keypoints_and_scene(self, row: Row) -> tuple[NDArray[np.float32], CodedScene | None]:
        if self._truth is None:
            scene = None if self._sampling.scene is None else CodedScene.of_row(row)
            return np.asarray(row["keypoints"], np.float32), scene
        if self._sampling.scene is None:
            return true_keypoints(self._truth, row), None
        return true_keypoints_and_scene(self._truth, row)


def _with_frames(data: ClipData, frames: NDArray[np.uint8]) -> ClipData:
    """Clip with its frames, and with its scene at their size."""
    if not isinstance(data.scene, CodedScene):
        return replace(data, frames=frames)
    try:
        return replace(data, frames=frames, scene=data.scene.at((frames.shape[1], frames.shape[2])))
    except (TypeError, ValueError) as error:
        raise BadRow(Reason.INVALID_ROW, str(error)) from error


def num_pictures(stored: StoredFeatures | None) -> int | None:
    """Number of decoded frames per sample, the reference first; None: all."""
    return None if stored is None else int(stored.reference_pictures)


def _signals_bytes(corpus: Corpus, sampling: SamplingConfig, stored: StoredFeatures | None) -> float:
    """Memory of the keypoints, features and coded scenes of all clips, in bytes."""
    frame_bytes = 4 * 3 * NUM_KEYPOINTS
    if stored is not None:
        frame_bytes += STORED.itemsize * (math.prod(stored.latent_shape) + math.prod(stored.embedding_shape))
    counts, heights, widths = (
        corpus.all_clips[name].to_numpy() for name in ("num_frames", "work_height_px", "work_width_px")
    )
    code_bytes = 0.0 if sampling.scene is None else 4 * NUM_KEYPOINTS + _CODE_BYTES_PER_PIXEL * heights * widths
    return float(((frame_bytes + code_bytes) * counts).sum())


def _pictures_bytes(corpus: Corpus, sampling: SamplingConfig, stored: StoredFeatures | None) -> float:
    """Memory of the frames and masks of all clips, in bytes; those that stored features replace take none."""
    if num_pictures(stored) == 0:
        return 0.0
    heights, widths, counts = (corpus.all_clips[name].to_numpy() for name in ("height_px", "width_px", "num_frames"))
    sizes, which = np.unique(np.stack([heights, widths]), axis=1, return_inverse=True)
    areas = []
    for height, width in sizes.T.tolist():
        short = covering_short_side((height, width), sampling)
        work_width, work_height = working_size(width, height, short_side_px=short, multiple=_DECODED_MULTIPLE)
        areas.append(work_width * work_height)
    # Three bytes of colour, and one for each of the two masks.
    pixel_bytes = 3 if sampling.scene is None else 5
    return float((np.array(areas)[which] * pixel_bytes * counts).sum())
