"""Training and test material: rendered puppet frames with their truth, kept in memory-mapped files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes
from models.perception.letterbox import Letterbox
from models.puppets import PuppetFrame, Split, render_frame, sample_spec

SCENERY, CHARACTER, FIRST_OBJECT, OUTSIDE = 0, 1, 2, 255
"""Values of a label map: scenery, the character, the objects from 2 on, and the bars around the frame."""

OBJECT_ROOM = 2.8
"""Side of a stored object square over the larger side of the object: room for the shifts that training draws."""
OBJECT_SIDE_PX = 128

SIZES_PX: Final = ((384, 384), (288, 384), (384, 288), (216, 384), (384, 216))
"""Heights and widths that frames are rendered at: about twice the network's input, as a prepared clip would be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetFramesConfig:
    """Which frames: `num_videos` specs from `first_seed` on, `frames_per_video` moments of each.

    `improvised_share`: of the videos, those that show random poses in place of a motion of the split. Without them a
    network learns the few authored motions by heart, and orders the limbs of others wrongly.
    """

    split: Split
    first_seed: int
    num_videos: int
    frames_per_video: int
    side_px: int = 192
    improvised_share: float = 0.0

    @property
    def num_frames(self) -> int:
        """All frames of the set."""
        return self.num_videos * self.frames_per_video


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetFrames:
    """N frames in the network's square, as arrays (memory-mapped when they come from `open_frames`).

    Attributes:
        images: (N, S, S, 3) uint8.
        labels: (N, S, S) uint8, see `SCENERY`, `CHARACTER`, `FIRST_OBJECT`, `OUTSIDE`.
        depth: (N, S, S) float16, near is small.
        keypoints: (N, 133, 3) float32: x, y in the square, visibility 0 absent, 1 hidden, 2 visible.
        object_images: (N, O, O, 3) uint8, a square around one object of the frame.
        object_labels: (N, O, O) uint8: 1 the object, 0 the rest, `OUTSIDE`; no 1 anywhere if the frame has no object.
        done: (N) bool, which of them are rendered.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    depth: NDArray[np.float16]
    keypoints: NDArray[np.float32]
    object_images: NDArray[np.uint8]
    object_labels: NDArray[np.uint8]
    done: NDArray[np.bool_]


def open_frames(config: PuppetFramesConfig, folder: Path) -> PuppetFrames:
    """The files of a set, made on the first call and opened for writing on later ones.

    Raises:
        ValueError: the folder holds another set.
    """
    n, s, o = config.num_frames, config.side_px, OBJECT_SIDE_PX
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "images": ((n, s, s, 3), np.uint8),
        "labels": ((n, s, s), np.uint8),
        "depth": ((n, s, s), np.float16),
        "keypoints": ((n, 133, 3), np.float32),
        "object_images": ((n, o, o, 3), np.uint8),
        "object_labels": ((n, o, o), np.uint8),
        "done": ((n,), np.bool_),
    }
    stamp = folder / "config.json"
    wanted = json.dumps(asdict(config), sort_keys=True)
    if not stamp.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, (shape, dtype) in shapes.items():
            open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
        stamp.write_text(wanted)
    if (found := stamp.read_text()) != wanted:
        raise ValueError(f"{folder} holds the frames of {found}, not of {wanted}: name another folder")
    return PuppetFrames(**{name: open_memmap(folder / f"{name}.npy", mode="r+") for name in shapes})


def render_frames(config: PuppetFramesConfig, frames: PuppetFrames, videos: Iterable[int]) -> None:
    """Render what is missing of some videos of the set into its arrays."""
    cv2.setNumThreads(1)
    for video in videos:
        here = slice(video * config.frames_per_video, (video + 1) * config.frames_per_video)
        if frames.done[here].all():
            continue
        seed = config.first_seed + video
        rng = np.random.default_rng(seed)
        spec = sample_spec(
            seed,
            split=config.split,
            size_px=SIZES_PX[rng.integers(len(SIZES_PX))],
            improvised=bool(rng.random() < config.improvised_share),
        )
        for index in range(here.start, here.stop):
            _store(frames, index, render_frame(spec, rng.uniform(0.0, spec.duration_seconds)), rng)


def _store(frames: PuppetFrames, index: int, puppet: PuppetFrame, rng: np.random.Generator) -> None:
    height, width = puppet.depth.shape
    letterbox = Letterbox.of_frame(width_px=width, height_px=height, side_px=frames.images.shape[1])
    labels = np.full((height, width), SCENERY, np.uint8)
    labels[puppet.character_mask] = CHARACTER
    shown = [mask for mask in puppet.object_masks.values() if mask.any()]
    for number, mask in enumerate(shown):
        labels[mask] = FIRST_OBJECT + number
    frames.images[index] = letterbox.cut(puppet.rgb)
    frames.labels[index] = cut_map(letterbox, labels, outside=OUTSIDE)
    frames.depth[index] = cut_map(letterbox, puppet.depth.astype(np.float32), outside=0.0)
    frames.keypoints[index, :, :2] = letterbox.points_to_square(puppet.keypoints[:, :2])
    frames.keypoints[index, :, 2] = puppet.keypoints[:, 2]
    frames.object_labels[index] = SCENERY
    if shown:
        mask = shown[rng.integers(len(shown))]
        x0, y0, x1, y1 = (float(value) for value in bounding_boxes(mask[None])[0])
        square = Letterbox.around(
            (x0, y0, x1, y1), width_px=width, height_px=height, side_px=OBJECT_SIDE_PX, room=OBJECT_ROOM
        )
        frames.object_images[index] = square.cut(puppet.rgb)
        frames.object_labels[index] = cut_map(square, mask.astype(np.uint8), outside=OUTSIDE)
    frames.done[index] = True


def cut_map(letterbox: Letterbox, values: NDArray[np.generic], *, outside: float) -> NDArray[np.generic]:
    """A map (H, W) over the image in the letterbox's square: nearest values, `outside` in the bars."""
    left, top, right, bottom = letterbox.inner
    square = np.full((letterbox.side_px, letterbox.side_px), outside, values.dtype)
    region = np.ascontiguousarray(values[letterbox.y0 : letterbox.y1, letterbox.x0 : letterbox.x1])
    # INTER_NEAREST_EXACT samples the pixel under the centre; plain INTER_NEAREST is shifted by half a pixel.
    square[top:bottom, left:right] = cv2.resize(
        region, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return square
