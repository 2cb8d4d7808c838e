"""Paste-back: a generated frame inside the neighbourhood of the character, the original pixels elsewhere."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.compositing.scene import resized
from models.pose.extent import character_size_px
from models.pose.overlay import rasterise_skeleton

ROOM_SHARE = 0.03
"""Width of the full-weight border around the area, relative to the shorter side of the canvas."""
FEATHER_SHARE = 0.05
"""Width over which the weight falls from 1 to 0 beyond that border, relative to the shorter side of the canvas."""
DEFAULT_REACH_SHARE = 0.1
"""`limb_reach_share` of a character whose mask is not known."""
_MIN_ROOM_PX = 2.0  # so that interpolation between canvas pixels gives full weight everywhere inside the area
_REACH_PERCENTILE = 98.0  # the mask of a picture may have stray pixels


def limb_reach_share(mask_HW: NDArray[np.bool_], keypoints_K3: NDArray[np.float32]) -> float:
    """Distance from a character's skeleton within which nearly all of its pixels lie, relative to its size.

    Args:
        mask_HW: the character's pixels.
        keypoints_K3: (133, 3) in the same pixels.

    Raises:
        ValueError: an empty mask, or fewer than two confident keypoints.
    """
    size_px = character_size_px(keypoints_K3[None])
    if not mask_HW.any() or size_px == 0:
        raise ValueError(f"expected a character, got {mask_HW.sum()} pixels and a skeleton of {size_px:g} px")
    distances = _distance_px(rasterise_skeleton(keypoints_K3, _size(mask_HW), line_width_px=1.0))[mask_HW]
    return float(np.percentile(distances, _REACH_PERCENTILE)) / size_px


def silhouettes(
    keypoints_TK3: NDArray[np.float32], size_px: tuple[int, int], *, reach_share: float
) -> NDArray[np.bool_]:
    """Areas (T, H, W) within `reach_share` of the character's size from its skeletons (T, 133, 3).

    `size_px`: (height, width), also the pixels of the keypoints. Without confident keypoints a frame has no area.
    """
    reach_px = reach_share * character_size_px(keypoints_TK3)
    areas = np.zeros((len(keypoints_TK3), *size_px), np.bool_)
    for area, keypoints in zip(areas, keypoints_TK3, strict=True):
        lines = rasterise_skeleton(keypoints, size_px, line_width_px=1.0)
        if lines.any():
            area[:] = _distance_px(lines) <= reach_px
    return areas


def paste_weight(area_HW: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Weights (H, W) of the generated frame: 1 in the area and a border around it, falling smoothly to 0 outside.

    Monotone: a larger area has nowhere a smaller weight. An empty area has weight 0 everywhere.
    """
    if not area_HW.any():
        return np.zeros(area_HW.shape, np.float32)
    side_px = min(area_HW.shape)
    room_px, feather_px = max(_MIN_ROOM_PX, ROOM_SHARE * side_px), max(1.0, FEATHER_SHARE * side_px)
    fall = np.clip((_distance_px(area_HW) - room_px) / feather_px, 0.0, 1.0)
    # Half a cosine has no edge at either end.
    weights: NDArray[np.float32] = (0.5 + 0.5 * np.cos(np.pi * fall)).astype(np.float32)
    weights[fall >= 1.0] = 0.0
    return weights


def paste(
    original_HWC: NDArray[np.uint8], generated_HWC: NDArray[np.uint8], weight_HW: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Original frame with the generated one blended in; where the weight is 0, the original's bits.

    `generated_HWC` and `weight_HW` may have another size than the original; they are resized to it.
    """
    size_px = _size(original_HWC)
    weight = weight_HW
    if weight.shape != size_px:
        weight = cv2.resize(weight_HW, size_px[::-1], interpolation=cv2.INTER_LINEAR)
    inside = weight > 0
    if not inside.any():
        return original_HWC
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    share = weight[box][..., None]
    new, old = resized(generated_HWC, size_px)[box].astype(np.float32), original_HWC[box]
    blended = np.rint(share * new + (1 - share) * old).astype(np.uint8)
    pasted = original_HWC.copy()
    pasted[box] = np.where(share > 0, blended, old)
    return pasted


def _distance_px(area_HW: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance of each pixel to the nearest pixel of a non-empty area."""
    distances: NDArray[np.float32] = cv2.distanceTransform(
        (~area_HW).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return distances


def _size(array: NDArray[np.generic]) -> tuple[int, int]:
    return array.shape[0], array.shape[1]
