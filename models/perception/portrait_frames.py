"""Dataset of rendered portraits with ground-truth keypoints, stored in memory-mapped files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.perception.puppet_frames import open_arrays
from models.pose.skeleton import NUM_KEYPOINTS
from models.puppets import Split, render_frame, sample_portrait


@dataclass(frozen=True, kw_only=True, slots=True)
class PortraitFramesConfig:
    """Frames of a dataset: `num_videos` portraits from `first_seed` on, `frames_per_video` random times of each.

    `size_px`: height and width.
    """

    split: Split
    first_seed: int
    num_videos: int
    frames_per_video: int
    size_px: tuple[int, int] = (192, 144)


@dataclass(frozen=True, kw_only=True, slots=True)
class PortraitFrames:
    """Arrays of N frames, with the ground truth of `models.puppets`.

    Attributes:
        images: (N, H, W, 3) uint8.
        keypoints: (N, 133, 3) float32: x, y in pixels, visibility.
        done: (N) bool, whether the frame is rendered.
    """

    images: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    done: NDArray[np.bool_]


def open_portraits(config: PortraitFramesConfig, folder: Path) -> PortraitFrames:
    """Open the files of a dataset for writing; the first call creates them.

    Raises:
        ValueError: the folder holds another dataset.
    """
    n = config.num_videos * config.frames_per_video
    return PortraitFrames(
        **open_arrays(
            folder,
            config,
            images=((n, *config.size_px, 3), np.uint8),
            keypoints=((n, NUM_KEYPOINTS, 3), np.float32),
            done=((n,), np.bool_),
        )
    )


def render_portraits(config: PortraitFramesConfig, frames: PortraitFrames, videos: Iterable[int]) -> None:
    """Render the missing frames of the given videos into the arrays."""
    cv2.setNumThreads(1)
    for video in videos:
        indices = range(video * config.frames_per_video, (video + 1) * config.frames_per_video)
        if frames.done[indices.start : indices.stop].all():
            continue
        seed = config.first_seed + video
        rng = np.random.default_rng(seed)
        spec = sample_portrait(seed, split=config.split, size_px=config.size_px)
        for index in indices:
            puppet = render_frame(spec, rng.uniform(0.0, spec.duration_seconds))
            frames.images[index], frames.keypoints[index], frames.done[index] = puppet.rgb, puppet.keypoints, True
