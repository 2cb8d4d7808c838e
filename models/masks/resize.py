"""Resizing of masks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def resize_masks(masks_THW: NDArray[np.bool_], size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Masks of another (height, width): pixels of which at least half are covered. Masks of that size are returned."""
    if masks_THW.shape[1:] == size_px:
        return masks_THW
    shrinks = size_px[0] * size_px[1] < masks_THW.shape[1] * masks_THW.shape[2]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = np.empty((len(masks_THW), *size_px), np.bool_)
    for out, mask in zip(resized, masks_THW, strict=True):
        # Bytes of 255, which OpenCV rounds to multiples of 1 / 255.
        out[:] = cv2.resize(mask.view(np.uint8) * np.uint8(255), size_px[::-1], interpolation=method) >= 128
    return resized


def covering_masks(masks_THW: NDArray[np.bool_], size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Masks of another (height, width): every pixel that a pixel of the mask touches, so that nothing is uncovered."""
    for axis, length in ((1, size_px[0]), (2, size_px[1])):
        before = masks_THW.shape[axis]
        if length == before:
            continue
        starts = np.arange(length) * before // length
        ends = -(-np.arange(1, length + 1) * before // length)
        # Counts from the edge; int32 holds any side.
        counts = np.cumsum(masks_THW, axis=axis, dtype=np.int32)
        counts = np.insert(counts, 0, 0, axis=axis)
        masks_THW = counts.take(ends, axis) > counts.take(starts, axis)
    return masks_THW
