"""Frames of a clip's shot outside the clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.base import Row
from stages.io.clip_reader import ClipReader, window_of
from stages.outcome import BadRow, Reason


class ShotFrames:
    """Frames (n, H, W, 3) before and after a clip, at its size and spacing, read when they are asked for.

    Args:
        reader: of the clip's frames.
        clip: the columns that `ClipReader.frames` reads, and `frames`.
        short_side_px: shorter side to which the clip was decoded, if not that of the reader's settings.
    """

    def __init__(self, reader: ClipReader, clip: Row, short_side_px: int | None = None) -> None:
        window = window_of(clip)
        self._spacing_seconds = window.frame_step / window.fps
        self._first_seconds, self._last_seconds = (float(window.sample_seconds()[index]) for index in (0, -1))
        self._reader, self._clip, self._short_side_px = reader, clip, short_side_px

    def before(self, first: int, count: int) -> NDArray[np.uint8]:
        """`count` frames from number `first` on; -1 is the frame before the clip. Raises BadRow."""
        return self._read(self._first_seconds + first * self._spacing_seconds, count)

    def after(self, first: int, count: int) -> NDArray[np.uint8]:
        """`count` frames backwards in time from number `first` on; -1 is the frame after the clip. Raises BadRow."""
        return self._read(self._last_seconds - (first + count - 1) * self._spacing_seconds, count)[::-1]

    def _read(self, start_seconds: float, count: int) -> NDArray[np.uint8]:
        part = {**self._clip, "start_seconds": start_seconds, "num_frames": count, "times_seconds": None}
        frames: NDArray[np.uint8] = self._reader.frames(part, short_side_px=self._short_side_px).frames
        if frames.shape[1:] != self._clip["frames"].shape[1:]:
            (height, width), (clip_height, clip_width) = frames.shape[1:3], self._clip["frames"].shape[1:3]
            raise BadRow(
                Reason.SIZE_CHANGE,
                f"the frames at {start_seconds:.3f} s, between the clip and a prompt of it, are {width} x {height}, "
                f"those of the clip {clip_width} x {clip_height}; give a prompt inside the clip",
            )
        return frames
