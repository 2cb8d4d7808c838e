"""How large a character is, from its keypoints: the unit in which line widths and movements are measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONFIDENT_SCORE = 0.3
"""A keypoint with a lower score counts as unseen (the threshold that DWPose draws with)."""


def character_size_px(keypoints: NDArray[np.float32], *, min_score: float = CONFIDENT_SCORE) -> float:
    """Size of a character: the larger side of the box around its confident keypoints, the median over the frames.

    `keypoints`: (T, 133, 3). Frames with fewer than two confident keypoints do not count; 0.0 if that leaves none.
    """
    seen = keypoints[..., 2] >= min_score
    enough = seen.sum(axis=1) >= 2
    if not enough.any():
        return 0.0
    points = np.where(seen[..., None], keypoints[..., :2], np.nan)[enough]
    sides = np.nanmax(points, axis=1) - np.nanmin(points, axis=1)
    return float(np.median(sides.max(axis=1)))
