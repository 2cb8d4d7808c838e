"""Frames and masks of the scene that a character is set into, at the size of a network's canvas."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.masks.agnostic import agnostic_masks
from models.masks.boxes import bounding_boxes
from models.pose.placement import UNMOVED, Placement


def resized(frame_HWC: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Frame of another size, (height, width); the frame itself if it has that size."""
    if frame_HWC.shape[:2] == size_px:
        return frame_HWC
    smaller = size_px[0] * size_px[1] < frame_HWC.shape[0] * frame_HWC.shape[1]
    scaled: NDArray[np.uint8] = cv2.resize(
        frame_HWC, size_px[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    )
    return scaled


def resized_frames(frames_THWC: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) of another size."""
    return np.stack([resized(frame, size_px) for frame in frames_THWC])


def agnostic_area(masks_THW: NDArray[np.bool_], placement: Placement = UNMOVED) -> NDArray[np.bool_]:
    """Shape-agnostic masks (T, H, W) of a character by the inference rule, with those of its placed copy.

    The copy is the mask, scaled about the middle of its box's lower edge and moved.
    """
    area = agnostic_masks(masks_THW)
    if placement == UNMOVED:
        return area
    return area | agnostic_masks(_placed(masks_THW, placement))


def _placed(masks_THW: NDArray[np.bool_], placement: Placement) -> NDArray[np.bool_]:
    placed = np.zeros_like(masks_THW)
    scale, (dx, dy) = placement.scale, placement.offset_px
    for t, (x0, _, x1, y1) in enumerate(bounding_boxes(masks_THW).tolist()):
        if x1 > x0:
            x, y = (x0 + x1 - 1) / 2, y1 - 1
            move = np.array([[scale, 0, x + dx - scale * x], [0, scale, y + dy - scale * y]])
            copy = cv2.warpAffine(masks_THW[t].astype(np.float32), move, masks_THW.shape[:0:-1])
            placed[t] = copy > 0
    return placed
