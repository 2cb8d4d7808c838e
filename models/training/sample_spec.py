"""Random sampling of training samples from clips: frames, crop and mirroring.

A sample is a function of the run's seed and the sample's number, so the order of the data does not depend on the number
of workers, and a resumed run continues it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.masks.resize import covering_masks, resize_masks
from models.pose.skeleton import mirror_keypoints
from models.training.recipe import SamplingConfig

# Separate random streams: an additional draw in one does not change the numbers of another.
ORDER, SPEC, NOISE, POSE_AUGMENT, SCENE, SCENERY, SCENERY_ORDER = range(7)


def stream(seed: int, name: int, number: int) -> np.random.Generator:
    """Random generator of the stream `name` (`ORDER`, `SPEC`, …) for one epoch or sample."""
    return np.random.default_rng([seed, name, number])


class ClipOrder:
    """Clip index of each sample number: every clip once per epoch, in a new random order each epoch.

    `name`: random stream of the orders.
    """

    def __init__(self, num_clips: int, seed: int, *, name: int = ORDER) -> None:
        self.num_clips = num_clips
        self.seed = seed
        self._name = name
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, np.int64)

    def __getitem__(self, sample: int) -> int:
        epoch, place = divmod(sample, self.num_clips)
        if epoch != self._epoch:
            self._order = stream(self.seed, self._name, epoch).permutation(self.num_clips)
            self._epoch = epoch
        return int(self._order[place])


class MixedOrder:
    """Clip index of each sample number, where a share of the samples is of scenery, whose indices follow the clips'.

    Each sample is of scenery with probability `scenery_share`, independently of all others.
    """

    def __init__(self, num_clips: int, num_scenery: int, seed: int, *, scenery_share: float) -> None:
        self.num_clips, self.seed = num_clips, seed
        self._share = scenery_share if num_scenery else 0.0
        self._clips = ClipOrder(num_clips, seed)
        self._scenery = ClipOrder(num_scenery, seed, name=SCENERY_ORDER)

    def __getitem__(self, sample: int) -> int:
        if self._share and stream(self.seed, SCENERY, sample).uniform() < self._share:
            return self.num_clips + self._scenery[sample]
        return self._clips[sample]


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSpec:
    """Frames and crop of one sample.

    `targets`: (F) frame indices, increasing. `reference`: a frame index.
    `crop_share`: side of the crop, as a share of the largest crop of the same aspect ratio. `crop_place`: its position,
      (y, x), from 0 (top, left) to 1.
    """

    targets: tuple[int, ...]
    reference: int
    crop_share: float
    crop_place: tuple[float, float]
    mirrored: bool


def sample_spec(
    num_frames: int,
    config: SamplingConfig,
    rng: np.random.Generator,
    *,
    references_T: NDArray[np.bool_] | None = None,
) -> SampleSpec:
    """Draw frames and crop at random from a clip of `num_frames`.

    `references_T`: frames that may be the reference; None: all.

    Raises:
        ValueError: the clip is shorter than the span of the targets, or no frame may be the reference.
    """
    if num_frames < config.span:
        raise ValueError(f"a clip of {num_frames} frames is too short, targets span {config.span}")
    first = int(rng.integers(num_frames - config.span + 1))
    last = first + config.span - 1
    frames = np.arange(num_frames) if references_T is None else np.flatnonzero(references_T)
    if not len(frames):
        raise ValueError(f"expected at least one of {num_frames} frames that may be the reference, got none")
    distance = np.maximum(first - frames, frames - last)
    far = (
        frames[distance >= config.sample_margin]
        if distance.max() >= config.sample_margin
        else frames[distance == distance.max()]
    )
    share = float(rng.uniform(config.min_crop_share, 1.0)) if config.min_crop_share < 1 else 1.0
    place = (float(rng.uniform()), float(rng.uniform())) if config.min_crop_share < 1 else (0.5, 0.5)
    return SampleSpec(
        targets=tuple(range(first, last + 1, config.frame_step)),
        reference=int(rng.choice(far)),
        crop_share=share,
        crop_place=place,
        mirrored=bool(rng.uniform() < config.mirror_share),
    )


def cut_frames(frames_THWC: NDArray[np.uint8], spec: SampleSpec, config: SamplingConfig) -> NDArray[np.uint8]:
    """Crop, resize and mirror frames of any size to (T, height_px, width_px, 3) uint8."""
    top, left, height, width = _part(frames_THWC.shape[1:3], spec, config)
    out = np.empty((len(frames_THWC), config.height_px, config.width_px, 3), np.uint8)
    shrinks = config.height_px * config.width_px < height * width
    for picture, frame in zip(out, frames_THWC, strict=True):
        part = frame[top : top + height, left : left + width]
        if part.shape != picture.shape:
            part = cv2.resize(
                part, (config.width_px, config.height_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            )
        picture[:] = cv2.flip(part, 1) if spec.mirrored else part
    return out


def cut_masks(
    masks_THW: NDArray[np.bool_], spec: SampleSpec, config: SamplingConfig, *, covering: bool = False
) -> NDArray[np.bool_]:
    """Masks (T, height_px, width_px) of the output of `cut_frames`, of masks of the frames' size.

    `covering`: every pixel that a pixel of the mask touches, in place of those that are covered by half.
    """
    top, left, height, width = _part(masks_THW.shape[1:3], spec, config)
    resize = covering_masks if covering else resize_masks
    part = resize(masks_THW[:, top : top + height, left : left + width], (config.height_px, config.width_px))
    if not spec.mirrored:
        return np.ascontiguousarray(part)
    return np.stack([cv2.flip(np.ascontiguousarray(mask).view(np.uint8), 1) for mask in part]).view(np.bool_)


def cut_keypoints(
    keypoints: NDArray[np.float32],
    spec: SampleSpec,
    config: SamplingConfig,
    *,
    work_size_px: tuple[int, int],
    frame_size_px: tuple[int, int],
) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) in pixels of the output of `cut_frames`.

    `keypoints`: (T, 133, 3) in pixels of `work_size_px`. `frame_size_px`: size of the frames before cropping. Sizes are
    (height, width).
    """
    top, left, height, width = _part(frame_size_px, spec, config)
    moved = keypoints.astype(np.float32, copy=True)
    for axis, corner, part_px, out_px, size in (
        (0, left, width, config.width_px, 1),
        (1, top, height, config.height_px, 0),
    ):
        # Coordinates are of pixel centres, half a pixel from the edges, which are what scales.
        in_frame = (moved[..., axis] + 0.5) * (frame_size_px[size] / work_size_px[size]) - corner
        moved[..., axis] = in_frame * (out_px / part_px) - 0.5
    if spec.mirrored:
        moved = mirror_keypoints(moved, width_px=config.width_px)
    return moved


def covering_short_side(size_px: tuple[int, int], config: SamplingConfig) -> int:
    """Shorter side at which to decode a video of `size_px` (height, width) so that no crop is upscaled."""
    scale = max(config.height_px / size_px[0], config.width_px / size_px[1]) / config.min_crop_share
    return max(8, round(min(size_px) * min(scale, 1.0)))


def _part(size_px: tuple[int, int], spec: SampleSpec, config: SamplingConfig) -> tuple[int, int, int, int]:
    """Top, left, height and width of the crop in a frame of `size_px`."""
    scale = min(size_px[0] / config.height_px, size_px[1] / config.width_px) * spec.crop_share
    height = min(max(round(config.height_px * scale), 1), size_px[0])
    width = min(max(round(config.width_px * scale), 1), size_px[1])
    return (
        round((size_px[0] - height) * spec.crop_place[0]),
        round((size_px[1] - width) * spec.crop_place[1]),
        height,
        width,
    )
