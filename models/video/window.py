"""What a clip is: which moments of a video, at what size, and the frames that come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.video.container import MediaLimits
from models.video.errors import MediaError

Frames = np.ndarray[Any, np.dtype[np.uint8]]
AllocateFrames = Callable[[tuple[int, int, int, int]], Frames]
"""Makes the array that frames are decoded into, given its shape (T, H, W, 3)."""


def allocate_array(shape: tuple[int, int, int, int]) -> Frames:
    """Frames in ordinary memory."""
    return np.empty(shape, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipWindow:
    """Frame i is the one on display at `start_seconds + i * frame_step / fps`, for i < num_frames."""

    start_seconds: float
    """A presentation timestamp as it stands in the file."""
    num_frames: int
    frame_step: int
    fps: float

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.frame_step < 1:
            raise ValueError(f"num_frames and frame_step must be at least 1, got {self.num_frames}, {self.frame_step}")
        if not (np.isfinite(self.start_seconds) and np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"expected finite start_seconds and fps > 0, got {self.start_seconds} and {self.fps}")

    def sample_seconds(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(T) float64, the moments whose frames are wanted."""
        indices: np.ndarray[Any, np.dtype[np.float64]] = np.arange(self.num_frames, dtype=np.float64)
        return self.start_seconds + indices * (self.frame_step / self.fps)

    def tolerance_seconds(self, tick_seconds: float) -> float:
        """How much after the moment a frame may start and still be on display at it.

        Both the window's start and the frame's timestamp were rounded to a tick by up to a half of one each: in a file
        with ticks of 1 ms at 30 frames per second, the frames at 33 and 67 ms are 1/30 s apart all the same. Where
        ticks are as long as frames, timestamps are exact, and a quarter of a frame is far from both neighbours.
        """
        return min(tick_seconds, 0.25 / self.fps)


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedClip:
    """The frames of one window, all of them, all sound."""

    frames: Frames
    """(T, H, W, 3) uint8 RGB at the working size."""
    frame_seconds: np.ndarray[Any, np.dtype[np.float64]]
    """(T) float64, the timestamp of each frame as it stands in the file."""


def working_size(width: int, height: int, *, short_side_px: int, multiple: int) -> tuple[int, int]:
    """Width and height to decode to: the aspect is kept up to rounding, and nothing is enlarged beyond it.

    The shorter side becomes `short_side_px`, or stays if it is less; then each side is rounded to a multiple of
    `multiple`, at least one.
    """
    scale = min(1.0, short_side_px / min(width, height))
    return (
        max(1, round(width * scale / multiple)) * multiple,
        max(1, round(height * scale / multiple)) * multiple,
    )


def check_clip_bytes(window: ClipWindow, width: int, height: int, limits: MediaLimits) -> None:
    """Raise MediaError TooLarge if the decoded frames would not fit the limit."""
    num_bytes = window.num_frames * height * width * 3
    if num_bytes > limits.max_clip_bytes:
        size = f"{window.num_frames} frames of {width} x {height}"
        raise MediaError("TooLarge", f"{size} take {num_bytes} bytes, {limits.max_clip_bytes} are allowed")
