"""Clip windows: sample times, working size and decoded frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.video.container import MediaLimits
from models.video.errors import MediaError

Frames = np.ndarray[Any, np.dtype[np.uint8]]
AllocateFrames = Callable[[tuple[int, int, int, int]], Frames]
"""Allocator of the frame array, given its shape (T, H, W, 3)."""


def allocate_array(shape: tuple[int, int, int, int]) -> Frames:
    """Allocate frames in ordinary memory."""
    return np.empty(shape, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipWindow:
    """Sample times of a clip: frame i is the one on display at `start_seconds + i * frame_step / fps`, or at
    `times_seconds[i]`.
    """

    start_seconds: float
    """Presentation timestamp in the file."""
    num_frames: int
    frame_step: int
    fps: float
    times_seconds: tuple[float, ...] | None = None
    """Ascending presentation timestamps, for samples at uneven times; `num_frames` of them, from `start_seconds` on."""

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.frame_step < 1:
            raise ValueError(f"num_frames and frame_step must be at least 1, got {self.num_frames}, {self.frame_step}")
        if not (np.isfinite(self.start_seconds) and np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"expected finite start_seconds and fps > 0, got {self.start_seconds} and {self.fps}")

        if self.times_seconds is not None and len(self.times_seconds) != self.num_frames:
            raise ValueError(f"expected {self.num_frames} times_seconds, got {len(self.times_seconds)}")

    def sample_seconds(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(T) float64 sample times."""
        if self.times_seconds is not None:
            return np.asarray(self.times_seconds, dtype=np.float64)
        indices: np.ndarray[Any, np.dtype[np.float64]] = np.arange(self.num_frames, dtype=np.float64)
        return self.start_seconds + indices * (self.frame_step / self.fps)

    def tolerance_seconds(self, tick_seconds: float) -> float:
        """Maximum time by which a frame may start after a sample time and still count as on display.

        The window's start and the frame's timestamp are each rounded by up to half a tick: with ticks of 1 ms at 30
        frames per second, the frames at 33 and 67 ms are nominally 1/30 s apart. If a tick is as long as a frame,
        timestamps are exact, and a quarter of a frame interval is far from both neighbours.
        """
        if self.times_seconds is not None:
            return 0.5 * tick_seconds
        return min(tick_seconds, 0.25 / self.fps)


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedClip:
    """Decoded frames of a window, complete and undamaged."""

    frames: Frames
    """(T, H, W, 3) uint8 RGB at the working size."""
    frame_seconds: np.ndarray[Any, np.dtype[np.float64]]
    """(T) float64 timestamp of each frame in the file."""
    num_source_frames: int
    """Number of frames in the file from the first sampled frame to the last."""


def frame_step(fps: float, target_fps: float) -> int:
    """Number of source frames per sample for a rate near `target_fps`, at least 1.

    Of the two nearest rates, the one with the smaller ratio to the target is chosen. The tie between them is
    irrational, so that a rate and its NTSC version, 30 and 29.97, are sampled alike.
    """
    ratio = fps / target_fps
    lower = max(1, math.floor(ratio))
    return lower if ratio <= math.sqrt(lower * (lower + 1)) else lower + 1


def working_size(width: int, height: int, *, short_side_px: int, multiple: int) -> tuple[int, int]:
    """Width and height to decode to, with the same aspect ratio up to rounding and without upscaling.

    The shorter side becomes `short_side_px`, or stays if it is smaller; then each side is rounded to a multiple of
    `multiple`, at least `multiple` itself.
    """
    scale = min(1.0, short_side_px / min(width, height))
    return (
        max(1, round(width * scale / multiple)) * multiple,
        max(1, round(height * scale / multiple)) * multiple,
    )


def check_clip_bytes(window: ClipWindow, width: int, height: int, limits: MediaLimits) -> None:
    """Raise MediaError TooLarge if the decoded frames exceed `limits.max_clip_bytes`."""
    num_bytes = window.num_frames * height * width * 3
    if num_bytes > limits.max_clip_bytes:
        size = f"{window.num_frames} frames of {width} x {height}"
        raise MediaError("TooLarge", f"{size} take {num_bytes} bytes, {limits.max_clip_bytes} are allowed")
