"""Character size from keypoints, the unit of line widths and movements."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import BODY

CONFIDENT_SCORE = 0.3
"""Keypoints with a lower score count as undetected (DWPose's drawing threshold)."""
MIN_PERSON_KEYPOINTS = 4
"""Minimum number of confident body keypoints of a person (a character without limbs has five on the head)."""


def shows_person(keypoints: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each frame of keypoints (T, 133, 3) has enough confident body keypoints, (T,) bool."""
    shown: NDArray[np.bool_] = (keypoints[:, BODY, 2] >= CONFIDENT_SCORE).sum(axis=1) >= MIN_PERSON_KEYPOINTS
    return shown


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
