"""Percentage of correct keypoints (PCK): agreement of keypoints with true ones, relative to the character's size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PCK_SHARE = 0.1
"""PCK threshold relative to the character's size, the longer side of the box around its keypoints."""


def correct(
    keypoints: NDArray[np.float32], truth: NDArray[np.float32], *, share: float = PCK_SHARE
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks (T, K) of keypoints within `share` of the character's size of the truth, present in the frame, visible.

    `keypoints`, `truth`: (T, K, 3). In frames with fewer than two present keypoints, none count as present or visible.
    """
    present, visible = truth[..., 2] > 0, truth[..., 2] > 1
    usable = present.sum(1) >= 2
    distance = np.linalg.norm(keypoints[..., :2] - truth[..., :2], axis=-1)
    right: NDArray[np.bool_] = distance <= share * character_sizes_px(truth)[:, None]
    return right, present & usable[:, None], visible & usable[:, None]


def character_sizes_px(truth: NDArray[np.float32]) -> NDArray[np.float64]:
    """(T) longer side of the box around the present keypoints of each frame; 0 with fewer than two.

    `truth`: (T, K, 3); keypoints with a visibility of 0 are absent.
    """
    present = truth[..., 2] > 0
    usable = present.sum(1) >= 2
    places = np.where(present[..., None], truth[..., :2], np.nan)[usable]
    sizes = np.zeros(len(truth))
    sizes[usable] = (np.nanmax(places, axis=1) - np.nanmin(places, axis=1)).max(-1)
    return sizes
