"""Measures of change over time: flicker, seams between sampling windows, and drift."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from models.metrics.pixels import check_frames, l1

Frames = NDArray[np.uint8]


def flicker(frames_THWC: Frames) -> float | None:
    """Mean absolute difference of successive frames, relative to 255; None for one frame.

    1 minus it is the temporal flickering score of VBench (Huang et al. 2024).

    Raises:
        ValueError: the frames are empty, or not uint8 (T, H, W, C).
    """
    changes = _changes(frames_THWC)
    return float(changes.mean()) if len(changes) else None


def seam_ratio(frames_THWC: Frames, borders: Collection[int]) -> float | None:
    """Mean absolute difference across the borders of sampling windows, relative to that of other successive frames.

    None without borders, or if no other frames differ.

    Args:
        borders: indices of the first frames of windows; 0 is no border.

    Raises:
        ValueError: a border lies outside the clip; see also `flicker`.
    """
    changes = _changes(frames_THWC)
    if outside := sorted({border for border in borders if not 0 <= border < len(frames_THWC)}):
        raise ValueError(f"the window borders {outside} lie outside a clip of {len(frames_THWC)} frames")
    at_border = np.zeros(len(changes), np.bool_)
    at_border[[border - 1 for border in borders if border > 0]] = True
    elsewhere = changes[~at_border]
    if not at_border.any() or not elsewhere.any():
        return None
    return float(changes[at_border].mean() / elsewhere.mean())


def colour_drift(animation_THW3: Frames, truth_THW3: Frames) -> float | None:
    """Change of the mean colour's error between the first and the last quarter of the frames, as a distance in CIELAB
    (D65, 1976); None for one frame.

    Raises:
        ValueError: the arrays differ in shape, have empty frames, or are not uint8 (T, H, W, 3).
    """
    check_frames(animation_THW3, truth_THW3)
    if len(truth_THW3) < 2:
        return None
    errors = _mean_colours(animation_THW3) - _mean_colours(truth_THW3)
    first, last = _quarters(len(errors))
    return float(np.linalg.norm(errors[last].mean(axis=0) - errors[first].mean(axis=0)))


def quarter_drift(values_T: NDArray[np.floating]) -> float | None:
    """Mean of the first quarter of the values, at least one, minus that of the last quarter; None for one value."""
    if len(values_T) < 2:
        return None
    first, last = _quarters(len(values_T))
    return float(values_T[first].mean() - values_T[last].mean())


def _changes(frames_THWC: Frames) -> NDArray[np.float64]:
    """(T - 1) mean absolute difference of each frame and the next, relative to 255."""
    return l1(frames_THWC[1:], frames_THWC[:-1])


def _quarters(count: int) -> tuple[slice, slice]:
    size = max(count // 4, 1)
    return slice(size), slice(count - size, count)


def _mean_colours(frames_THW3: Frames) -> NDArray[np.float64]:
    """(T, 3) L*, a*, b* of the mean level of each frame."""
    levels = np.array([cv2.mean(frame)[:3] for frame in frames_THW3], np.float32) / 255
    lab: NDArray[np.float32] = cv2.cvtColor(levels[None], cv2.COLOR_RGB2LAB)[0]
    return lab.astype(np.float64)
