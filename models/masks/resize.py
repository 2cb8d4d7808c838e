"""Resizing of masks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def resize_masks(
    masks_THW: NDArray[np.bool_], size_px: tuple[int, int], *, any_part: bool = False
) -> NDArray[np.bool_]:
    """Masks of another (height, width): pixels of which at least half are covered. Masks of that size are returned.

    `any_part`: all pixels that are covered at all, so that a mask hides everything that it hid before.
    """
    if masks_THW.shape[1:] == size_px:
        return masks_THW
    shrinks = size_px[0] * size_px[1] < masks_THW.shape[1] * masks_THW.shape[2]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    least = 1 if any_part else 128
    resized = np.empty((len(masks_THW), *size_px), np.bool_)
    for out, mask in zip(resized, masks_THW, strict=True):
        # Bytes of 255, which OpenCV rounds to multiples of 1 / 255.
        out[:] = cv2.resize(mask.view(np.uint8) * np.uint8(255), size_px[::-1], interpolation=method) >= least
    return resized
