"""Small videos to compare, drawn from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.video.encode import write_h264

FPS = 8.0


def moving_frames(seed: int, num_frames: int = 6, size_px: tuple[int, int] = (32, 48)) -> NDArray[np.uint8]:
    """(T, H, W, 3) frames of a coarse pattern that moves; `size_px`: (height, width)."""
    height, width = size_px
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    pattern = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return np.stack([np.roll(pattern, 2 * index, axis=1) for index in range(num_frames)])


def worse(frames_THWC: NDArray[np.uint8], seed: int = 0, levels: int = 20) -> NDArray[np.uint8]:
    """The frames with noise."""
    noise = np.random.default_rng(seed).integers(-levels, levels + 1, frames_THWC.shape)
    return np.clip(frames_THWC + noise, 0, 255).astype(np.uint8)


def write_video(path: Path, frames_THWC: NDArray[np.uint8], fps: float = FPS) -> Path:
    """A lossless H.264 file, whose decoded levels differ from the frames by the rounding of its colour space."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_h264(path, iter(frames_THWC), fps=fps, crf=0)
    return path
