"""Character size from keypoints, the unit of line widths and movements."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONFIDENT_SCORE = 0.3
"""Keypoints with a lower score count as undetected (DWPose's drawing threshold)."""


def character_size_px(keypoints: NDArray[np.float32], *, min_score: float = CONFIDENT_SCORE) -> float:
    """Character size: the longer side of the bounding box of the confident keypoints, median over frames.

    `keypoints`: (T, 133, 3). Frames with fewer than two confident keypoints are ignored; 0.0 if no frame is left.
    """
    confident = keypoints[..., 2] >= min_score
    enough = confident.sum(axis=1) >= 2
    if not enough.any():
        return 0.0
    points = np.where(confident[..., None], keypoints[..., :2], np.nan)[enough]
    sides = np.nanmax(points, axis=1) - np.nanmin(points, axis=1)
    return float(np.median(sides.max(axis=1)))
