"""Datasets of rendered puppet frames with ground truth, stored in memory-mapped files."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes
from models.perception.letterbox import Letterbox
from models.puppets import PuppetFrame, Split, render_frame, sample_interaction, sample_spec

SCENERY, CHARACTER, FIRST_OBJECT, OUTSIDE = 0, 1, 2, 255
"""Values of a label map: scenery, character, objects from 2 on, and padding around the frame."""

OBJECT_ROOM = 2.8
"""Side of a stored object square relative to the longer side of the object, with room for augmentation shifts."""
OBJECT_SIDE_PX = 128

SIZES_PX: Final = ((384, 384), (288, 384), (384, 288), (216, 384), (384, 216))
"""Rendering sizes (height, width): about twice the network's input, as for prepared clips."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetFramesConfig:
    """Frames of a dataset: `num_videos` specs from `first_seed` on, `frames_per_video` random times of each.

    `improvised_share`: share of videos with random poses instead of a motion of the split. Without them a network
    overfits to the few authored motions, and predicts a wrong limb order for others. `interacting_share`: share of
    videos of human characters that handle or meet objects (`models.puppets.interaction`).
    """

    split: Split
    first_seed: int
    num_videos: int
    frames_per_video: int
    side_px: int = 192
    improvised_share: float = 0.0
    interacting_share: float = 0.0

    @property
    def num_frames(self) -> int:
        """Number of frames of the dataset."""
        return self.num_videos * self.frames_per_video


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetFrames:
    """Arrays of N frames in the network's square (memory-mapped by `open_frames`).

    Attributes:
        images: (N, S, S, 3) uint8.
        labels: (N, S, S) uint8, see `SCENERY`, `CHARACTER`, `FIRST_OBJECT`, `OUTSIDE`.
        depth: (N, S, S) float16, smaller is nearer.
        keypoints: (N, 133, 3) float32: x, y in the square, visibility 0 absent, 1 occluded, 2 visible.
        object_images: (N, O, O, 3) uint8, a square around one object of the frame.
        object_labels: (N, O, O) uint8: 1 object, 0 rest, `OUTSIDE`; without 1 if the frame has no object.
        done: (N) bool, whether the frame is rendered.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    depth: NDArray[np.float16]
    keypoints: NDArray[np.float32]
    object_images: NDArray[np.uint8]
    object_labels: NDArray[np.uint8]
    done: NDArray[np.bool_]


def open_frames(config: PuppetFramesConfig, folder: Path) -> PuppetFrames:
    """Open the files of a dataset for writing; the first call creates them.

    Raises:
        ValueError: the folder holds another dataset.
    """
    n, s, o = config.num_frames, config.side_px, OBJECT_SIDE_PX
    return PuppetFrames(
        **open_arrays(
            folder,
            config,
            images=((n, s, s, 3), np.uint8),
            labels=((n, s, s), np.uint8),
            depth=((n, s, s), np.float16),
            keypoints=((n, 133, 3), np.float32),
            object_images=((n, o, o, 3), np.uint8),
            object_labels=((n, o, o), np.uint8),
            done=((n,), np.bool_),
        )
    )


def open_arrays(folder: Path, config: Any, **shapes: tuple[tuple[int, ...], type]) -> dict[str, Any]:
    """Open one file per array for writing; the first call creates them, all zero. `config`: dataclass of the dataset.

    Raises:
        ValueError: the folder holds another dataset.
    """
    stamp = folder / "config.json"
    expected = json.dumps(asdict(config), sort_keys=True)
    if not stamp.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, (shape, dtype) in shapes.items():
            open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
        stamp.write_text(expected)
    if (stored := stamp.read_text()) != expected:
        raise ValueError(f"{folder} holds the frames of {stored}, not of {expected}: name another folder")
    return {name: open_memmap(folder / f"{name}.npy", mode="r+") for name in shapes}


def render_frames(config: PuppetFramesConfig, frames: PuppetFrames, videos: Iterable[int]) -> None:
    """Render the missing frames of the given videos into the arrays."""
    cv2.setNumThreads(1)
    for video in videos:
        indices = range(video * config.frames_per_video, (video + 1) * config.frames_per_video)
        if frames.done[indices.start : indices.stop].all():
            continue
        seed = config.first_seed + video
        rng = np.random.default_rng(seed)
        # Its own stream, so that the share changes no other video.
        interacts = random.Random(f"interacting-{seed}").random() < config.interacting_share
        sample = sample_interaction if interacts else sample_spec
        spec = sample(
            seed,
            split=config.split,
            size_px=SIZES_PX[rng.integers(len(SIZES_PX))],
            improvised=bool(rng.random() < config.improvised_share),
        )
        for index in indices:
            _store(frames, index, render_frame(spec, rng.uniform(0.0, spec.duration_seconds)), rng)


def _store(frames: PuppetFrames, index: int, puppet: PuppetFrame, rng: np.random.Generator) -> None:
    height, width = puppet.depth.shape
    letterbox = Letterbox.of_frame(width_px=width, height_px=height, side_px=frames.images.shape[1])
    labels = np.full((height, width), SCENERY, np.uint8)
    labels[puppet.character_mask] = CHARACTER
    visible = [mask for mask in puppet.object_masks.values() if mask.any()]
    for number, mask in enumerate(visible):
        labels[mask] = FIRST_OBJECT + number
    frames.images[index] = letterbox.cut(puppet.rgb)
    frames.labels[index] = cut_map(letterbox, labels, outside=OUTSIDE)
    frames.depth[index] = cut_map(letterbox, puppet.depth.astype(np.float32), outside=0.0)
    frames.keypoints[index, :, :2] = letterbox.points_to_square(puppet.keypoints[:, :2])
    frames.keypoints[index, :, 2] = puppet.keypoints[:, 2]
    frames.object_labels[index] = SCENERY
    if visible:
        mask = visible[rng.integers(len(visible))]
        x0, y0, x1, y1 = (float(value) for value in bounding_boxes(mask[None])[0])
        square = Letterbox.around(
            (x0, y0, x1, y1), width_px=width, height_px=height, side_px=OBJECT_SIDE_PX, room=OBJECT_ROOM
        )
        frames.object_images[index] = square.cut(puppet.rgb)
        frames.object_labels[index] = cut_map(square, mask.astype(np.uint8), outside=OUTSIDE)
    frames.done[index] = True


def cut_map(letterbox: Letterbox, values: NDArray[np.generic], *, outside: float) -> NDArray[np.generic]:
    """Map (H, W) over the image, resampled to the letterbox's square: nearest neighbour, `outside` in the padding."""
    left, top, right, bottom = letterbox.inner
    square = np.full((letterbox.side_px, letterbox.side_px), outside, values.dtype)
    region = np.ascontiguousarray(values[letterbox.y0 : letterbox.y1, letterbox.x0 : letterbox.x1])
    # INTER_NEAREST_EXACT samples the pixel under the centre; plain INTER_NEAREST is shifted by half a pixel.
    square[top:bottom, left:right] = cv2.resize(
        region, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return square
