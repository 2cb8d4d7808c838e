"""Ground truth of one puppet video as a compressed numpy file.

Arrays of the `.npz` (T frames, N objects, L limbs; `H`, `W` in pixels of the video):

- `frame_seconds` (T) float64, `shot_starts_seconds` (shots) float64, `size_px` (2) int32: height, width
- `keypoints` (T, 133, 3) float32: x, y, visibility (0 absent, 1 occluded, 2 visible)
- `depth` (T, H, W) uint16, `depth_min` and `depth_max` float64: level 0 is depth_min, 65535 is depth_max
- `character_mask` (T, H, ceil(W / 8)) uint8, bits packed along the rows, first pixel in the highest bit
- `object_ids` (N) str, `object_masks` (N, T, H, ceil(W / 8)) uint8
- `limb_names` (L) str, `limb_depths` (T, L) float32, NaN where the character has no such limb
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.common.atomic import atomic_path
from models.pose.skeleton import LIMBS
from models.puppets.render import PuppetFrame

_LEVELS = 65535


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetTruth:
    """Unpacked ground truth of a video: masks are bool (T, H, W), depth float32 (T, H, W)."""

    frame_seconds: NDArray[np.float64]
    shot_starts_seconds: NDArray[np.float64]
    keypoints: NDArray[np.float32]
    depth: NDArray[np.float32]
    character_mask: NDArray[np.bool_]
    object_masks: dict[str, NDArray[np.bool_]]
    limb_depths: dict[str, NDArray[np.float32]]


def write_truth(
    path: Path | str,
    frames: Sequence[PuppetFrame],
    *,
    frame_seconds: Sequence[float],
    shot_starts_seconds: Sequence[float],
) -> None:
    """Write the ground truth of a video. Deterministic and atomic.

    Raises:
        ValueError: no frames, or not one time per frame.
    """
    if not frames or len(frames) != len(frame_seconds):
        raise ValueError(
            f"got {len(frames)} frames and {len(frame_seconds)} times, expected as many of each and at least one"
        )
    path = Path(path)
    depth = np.stack([frame.depth for frame in frames])
    low, high = float(depth.min()), float(depth.max())
    levels = np.rint((depth - low) * (_LEVELS / max(high - low, 1e-9))).astype(np.uint16)
    ids = list(frames[0].object_masks)
    height, width = frames[0].character_mask.shape
    objects = np.array([[frame.object_masks[name] for frame in frames] for name in ids], dtype=bool)
    limbs = np.array([[frame.limb_depths.get(name, np.nan) for name in LIMBS] for frame in frames], dtype=np.float32)
    # Through an open file: numpy would append `.npz` to the temporary name.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            frame_seconds=np.asarray(frame_seconds, dtype=np.float64),
            shot_starts_seconds=np.asarray(shot_starts_seconds, dtype=np.float64),
            size_px=np.array((height, width), dtype=np.int32),
            keypoints=np.stack([frame.keypoints for frame in frames]),
            depth=levels,
            depth_min=np.float64(low),
            depth_max=np.float64(high),
            character_mask=np.packbits(np.stack([frame.character_mask for frame in frames]), axis=-1),
            object_ids=np.array(ids, dtype=np.str_),
            object_masks=np.packbits(objects.reshape(len(ids), len(frames), height, width), axis=-1),
            limb_names=np.array(list(LIMBS), dtype=np.str_),
            limb_depths=limbs,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrueKeypoints:
    """Ground-truth keypoints of a video: `frame_seconds` (T), `keypoints` (T, 133, 3) as x, y, visibility.

    `size_px`: (height, width) of the video.
    """

    frame_seconds: NDArray[np.float64]
    keypoints: NDArray[np.float32]
    size_px: tuple[int, int]


def read_keypoints(path: Path | str) -> TrueKeypoints:
    """Read only the keypoints of a file written by `write_truth`."""
    with np.load(path, allow_pickle=False) as data:
        height, width = (int(value) for value in data["size_px"])
        return TrueKeypoints(frame_seconds=data["frame_seconds"], keypoints=data["keypoints"], size_px=(height, width))


def read_truth(path: Path | str) -> PuppetTruth:
    """Read a file written by `write_truth`."""
    with np.load(path, allow_pickle=False) as data:
        _, width = (int(value) for value in data["size_px"])
        low, high = float(data["depth_min"]), float(data["depth_max"])
        objects = np.unpackbits(data["object_masks"], axis=-1, count=width).astype(bool)
        return PuppetTruth(
            frame_seconds=data["frame_seconds"],
            shot_starts_seconds=data["shot_starts_seconds"],
            keypoints=data["keypoints"],
            depth=(low + data["depth"].astype(np.float32) * ((high - low) / _LEVELS)).astype(np.float32),
            character_mask=np.unpackbits(data["character_mask"], axis=-1, count=width).astype(bool),
            object_masks={str(name): objects[index] for index, name in enumerate(data["object_ids"])},
            limb_depths={str(name): data["limb_depths"][:, index] for index, name in enumerate(data["limb_names"])},
        )
