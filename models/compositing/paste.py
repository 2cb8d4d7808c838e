"""Paste-back: a generated frame inside the neighbourhood of the character, the original pixels elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.compositing.scene import resized
from models.pose.extent import character_size_px
from models.pose.overlay import rasterise_skeleton
from models.pose.skeleton import FACE, INDEX, NUM_KEYPOINTS

ROOM_SHARE = 0.03
"""Width of the full-weight border around the area, relative to the shorter side of the canvas."""
FEATHER_SHARE = 0.05
"""Width over which the weight falls from 1 to 0 beyond that border, relative to the shorter side of the canvas."""
_MIN_ROOM_PX = 2.0  # so that interpolation between canvas pixels gives full weight everywhere inside the area
_REACH_PERCENTILE = 99.5  # the mask of a picture may have stray pixels

_HEAD = [*range(INDEX["left_shoulder"]), *range(FACE.start, FACE.stop)]
_OTHERS = [k for k in range(NUM_KEYPOINTS) if k not in _HEAD]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """Distances from the skeleton within which a character's pixels lie, relative to its size.

    `head`: from the keypoints of the head; hats and ears reach farther than limbs. `limbs`: from all others.
    """

    head: float
    limbs: float


DEFAULT_REACH = Reach(head=0.15, limbs=0.08)
"""Reach of a character whose mask is not known."""


def reach_of(mask_HW: NDArray[np.bool_], keypoints_K3: NDArray[np.float32]) -> Reach:
    """Reach that holds nearly all pixels of a character.

    Args:
        mask_HW: the character's pixels.
        keypoints_K3: (133, 3) in the same pixels.

    Raises:
        ValueError: an empty mask, or fewer than two confident keypoints.
    """
    size_px = character_size_px(keypoints_K3[None])
    if not mask_HW.any() or size_px == 0:
        raise ValueError(f"expected a character, got {mask_HW.sum()} pixels and a skeleton of {size_px:g} px")
    head, limbs = (distances[mask_HW] for distances in _part_distances_px(keypoints_K3, _size(mask_HW)))

    def share(distances: NDArray[np.float32]) -> float:
        return float(np.percentile(distances, _REACH_PERCENTILE)) / size_px if len(distances) else 0.0

    return Reach(head=share(head[head < limbs]), limbs=share(limbs[limbs <= head]))


def silhouettes(keypoints_TK3: NDArray[np.float32], size_px: tuple[int, int], reach: Reach) -> NDArray[np.bool_]:
    """Areas (T, H, W) within reach of a character's skeletons (T, 133, 3).

    `size_px`: (height, width), also the pixels of the keypoints. Without confident keypoints a frame has no area.
    """
    character_px = character_size_px(keypoints_TK3)
    areas = np.zeros((len(keypoints_TK3), *size_px), np.bool_)
    for area, keypoints in zip(areas, keypoints_TK3, strict=True):
        head, limbs = _part_distances_px(keypoints, size_px)
        area[:] = (head <= reach.head * character_px) | (limbs <= reach.limbs * character_px)
    return areas


def _part_distances_px(
    keypoints_K3: NDArray[np.float32], size_px: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distances (H, W) to the lines of the head and to all others; infinite to a part without lines."""
    parts = []
    for hidden in (_OTHERS, _HEAD):
        keypoints = keypoints_K3.copy()
        keypoints[hidden, 2] = 0.0
        lines = rasterise_skeleton(keypoints, size_px, line_width_px=1.0)
        parts.append(_distance_px(lines) if lines.any() else np.full(size_px, np.inf, np.float32))
    return parts[0], parts[1]


def paste_weight(area_HW: NDArray[np.bool_], objects_HW: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Weights (H, W) of the generated frame: 1 in the area and a border around it, falling smoothly to 0 outside.

    Monotone: a larger area has nowhere a smaller weight. An empty area has weight 0 everywhere.

    `objects_HW`: visible pixels of the objects that stay, which are in front of the character. Their weight is 0.
    """
    if not area_HW.any():
        return np.zeros(area_HW.shape, np.float32)
    side_px = min(area_HW.shape)
    room_px, feather_px = max(_MIN_ROOM_PX, ROOM_SHARE * side_px), max(1.0, FEATHER_SHARE * side_px)
    fall = np.clip((_distance_px(area_HW) - room_px) / feather_px, 0.0, 1.0)
    # Half a cosine has no edge at either end.
    weights: NDArray[np.float32] = (0.5 + 0.5 * np.cos(np.pi * fall)).astype(np.float32)
    weights[fall >= 1.0] = 0.0
    if objects_HW is not None:
        weights[objects_HW] = 0.0
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
