"""Smoothing of a clip's keypoints over time, without lag: a Savitzky-Golay filter (Analytical Chemistry 36, 1964)."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.pose.extent import character_size_px

ORDER = 2
"""Order of the polynomials that are fitted; motion of constant acceleration passes unchanged."""
MIN_WINDOW_FRAMES = ORDER + 3
"""Shortest window that removes noise: one of three frames reproduces its input."""
MAX_INTERVAL = 1.5
"""Longest time between frames within a run, relative to the median: a longer one is a gap."""
MAX_JUMP = 0.2
"""Largest median motion of the keypoints between frames within a run, relative to the character's size: a larger one is
another character or a cut. Dancers, at eight frames per second, stay below 0.05."""
_ROUNDING = 0.01
"""Share of the window by which it may be exceeded, for rates such as 29.97."""


def smoothed(
    keypoints_TK3: NDArray[np.float32], frame_seconds_T: NDArray[np.float64], *, half_window_seconds: float
) -> NDArray[np.float32]:
    """Keypoints (T, K, 3) with smoothed x and y; scores stay.

    The value of a polynomial fitted to the frames up to `half_window_seconds` before and after replaces each point.
    Runs of frames are smoothed each for itself: they end where a keypoint is absent (score 0), at gaps and at jumps.
    Runs and windows of fewer than `MIN_WINDOW_FRAMES` frames stay as they are.
    """
    if len(keypoints_TK3) != len(frame_seconds_T):
        raise ValueError(f"got {len(frame_seconds_T)} times for {len(keypoints_TK3)} frames of keypoints")
    result = keypoints_TK3.copy()
    if len(frame_seconds_T) < MIN_WINDOW_FRAMES:
        return result
    interval_seconds = float(np.median(np.diff(frame_seconds_T)))
    half = int(half_window_seconds * (1 + _ROUNDING) / max(interval_seconds, 1e-6))
    breaks = _breaks(keypoints_TK3, frame_seconds_T, interval_seconds)
    # Keypoints of one part come and go together, and are smoothed together.
    scored, pattern_of_K = np.unique(keypoints_TK3[..., 2] > 0, axis=1, return_inverse=True)
    for pattern, present_T in enumerate(scored.T):
        which = np.flatnonzero(pattern_of_K == pattern)
        for start, stop in _runs(present_T, breaks):
            window = min(2 * half + 1, stop - start - (stop - start + 1) % 2)
            if window >= MIN_WINDOW_FRAMES:
                result[start:stop, which, :2] = _filtered(keypoints_TK3[start:stop, which, :2], window)
    return result


def _breaks(
    keypoints_TK3: NDArray[np.float32], frame_seconds_T: NDArray[np.float64], interval_seconds: float
) -> NDArray[np.bool_]:
    """(T,) whether a frame starts a new run for all keypoints."""
    shared = (keypoints_TK3[1:, :, 2] > 0) & (keypoints_TK3[:-1, :, 2] > 0)
    steps = np.where(shared, np.linalg.norm(np.diff(keypoints_TK3[..., :2], axis=0), axis=2), np.nan)
    steps[~shared.any(axis=1)] = 0
    jumps = np.nanmedian(steps, axis=1) > MAX_JUMP * character_size_px(keypoints_TK3)
    return np.concatenate([[True], jumps | (np.diff(frame_seconds_T) > MAX_INTERVAL * interval_seconds)])


def _runs(present_T: NDArray[np.bool_], breaks_T: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First frame, and frame after the last, of the runs in which a keypoint is present."""
    run_T = np.cumsum(breaks_T | ~present_T | ~np.concatenate([[True], present_T[:-1]]))
    frames = np.flatnonzero(present_T)
    runs = np.split(frames, np.flatnonzero(np.diff(run_T[frames])) + 1)
    return [(int(run[0]), int(run[-1]) + 1) for run in runs if len(run)]


def _filtered(points_TK2: NDArray[np.floating], window_frames: int) -> NDArray[np.float64]:
    half = window_frames // 2
    powers = np.vander(np.arange(-half, half + 1.0), ORDER + 1, increasing=True)
    projection = powers @ np.linalg.pinv(powers)
    windows = sliding_window_view(points_TK2.astype(np.float64), window_frames, axis=0)
    middle = windows @ projection[half]
    # No window is centred on the first and last frames: they are on the polynomials of the first and last windows.
    start, stop = windows[0] @ projection[:half].T, windows[-1] @ projection[half + 1 :].T
    return np.concatenate([np.moveaxis(start, -1, 0), middle, np.moveaxis(stop, -1, 0)])
