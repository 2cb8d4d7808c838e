"""From a clip to a training sample: which frames, which part of the picture, and the skeletons over it.

Everything random about a sample follows from the run's seed and the sample's number, so that a run has one order of
data whatever the number of workers, and a killed one goes on with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import mirror_keypoints
from models.training.recipe import SamplingConfig

# Streams of random numbers that a sample draws from, kept apart so that one more draw in one moves nothing in another.
ORDER, CUT, NOISE, CHANGE = range(4)


def stream(seed: int, name: int, number: int) -> np.random.Generator:
    """The random numbers of one purpose (`ORDER`, `CUT`, `NOISE`, `CHANGE`) of one epoch or sample."""
    return np.random.default_rng([seed, name, number])


class ClipOrder:
    """Which clip sample 0, 1, 2, … is of: all clips once per epoch, each epoch in an order of its own."""

    def __init__(self, num_clips: int, seed: int) -> None:
        self.num_clips = num_clips
        self.seed = seed
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, np.int64)

    def __getitem__(self, sample: int) -> int:
        epoch, place = divmod(sample, self.num_clips)
        if epoch != self._epoch:
            self._order = stream(self.seed, ORDER, epoch).permutation(self.num_clips)
            self._epoch = epoch
        return int(self._order[place])


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """One sample's part of a clip.

    `targets`: (F) frame indices, increasing. `reference`: a frame index.
    `crop_share`: side of the part cut out, as a share of the largest of its aspect; `crop_place`: where it lies, (y, x)
    from 0 (top, left) to 1.
    """

    targets: tuple[int, ...]
    reference: int
    crop_share: float
    crop_place: tuple[float, float]
    mirrored: bool


def draw_cut(num_frames: int, config: SamplingConfig, rng: np.random.Generator) -> Cut:
    """Draw the frames and the part of a clip of `num_frames`.

    Raises:
        ValueError: the clip is shorter than the span of the targets.
    """
    if num_frames < config.span:
        raise ValueError(f"a clip of {num_frames} frames has no {config.span} for the targets")
    first = int(rng.integers(num_frames - config.span + 1))
    last = first + config.span - 1
    frames = np.arange(num_frames)
    distance = np.maximum(first - frames, frames - last)
    far = (
        frames[distance >= config.sample_margin]
        if distance.max() >= config.sample_margin
        else frames[distance == distance.max()]
    )
    share = float(rng.uniform(config.min_crop_share, 1.0)) if config.min_crop_share < 1 else 1.0
    place = (float(rng.uniform()), float(rng.uniform())) if config.min_crop_share < 1 else (0.5, 0.5)
    return Cut(
        targets=tuple(range(first, last + 1, config.frame_step)),
        reference=int(rng.choice(far)),
        crop_share=share,
        crop_place=place,
        mirrored=bool(rng.uniform() < config.mirror_share),
    )


def cut_frames(frames_THWC: NDArray[np.uint8], cut: Cut, config: SamplingConfig) -> NDArray[np.uint8]:
    """The cut's part of frames of any size, (T, height_px, width_px, 3) uint8."""
    top, left, height, width = _part(frames_THWC.shape[1:3], cut, config)
    out = np.empty((len(frames_THWC), config.height_px, config.width_px, 3), np.uint8)
    shrinks = config.height_px * config.width_px < height * width
    for picture, frame in zip(out, frames_THWC, strict=True):
        part = frame[top : top + height, left : left + width]
        if part.shape != picture.shape:
            part = cv2.resize(
                part, (config.width_px, config.height_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            )
        picture[:] = part[:, ::-1] if cut.mirrored else part
    return out


def cut_keypoints(
    keypoints: NDArray[np.float32],
    cut: Cut,
    config: SamplingConfig,
    *,
    work_size_px: tuple[int, int],
    frame_size_px: tuple[int, int],
) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) in pixels of `cut_frames`.

    `keypoints`: (T, 133, 3) in pixels of `work_size_px`; `frame_size_px` is that of the frames that are cut. Both are
    (height, width).
    """
    top, left, height, width = _part(frame_size_px, cut, config)
    moved = keypoints.astype(np.float32, copy=True)
    for axis, corner, part_px, out_px, size in (
        (0, left, width, config.width_px, 1),
        (1, top, height, config.height_px, 0),
    ):
        # Edges of pixels scale, their centres lie half a pixel in.
        in_frame = (moved[..., axis] + 0.5) * (frame_size_px[size] / work_size_px[size]) - corner
        moved[..., axis] = in_frame * (out_px / part_px) - 0.5
    if cut.mirrored:
        moved = mirror_keypoints(moved, width_px=config.width_px)
    return moved


def covering_short_side(size_px: tuple[int, int], config: SamplingConfig) -> int:
    """Shorter side to which a video of `size_px` (height, width) is decoded so that a cut need not enlarge it."""
    scale = max(config.height_px / size_px[0], config.width_px / size_px[1]) / config.min_crop_share
    return max(8, round(min(size_px) * min(scale, 1.0)))


def _part(size_px: tuple[int, int], cut: Cut, config: SamplingConfig) -> tuple[int, int, int, int]:
    """Top, left, height, width of what is cut out of a frame of `size_px`."""
    scale = min(size_px[0] / config.height_px, size_px[1] / config.width_px) * cut.crop_share
    height = min(max(round(config.height_px * scale), 1), size_px[0])
    width = min(max(round(config.width_px * scale), 1), size_px[1])
    return (
        round((size_px[0] - height) * cut.crop_place[0]),
        round((size_px[1] - width) * cut.crop_place[1]),
        height,
        width,
    )
