"""Side-by-side videos for visual comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

GAP_PX = 6
_GAP_GREY = 24


def side_by_side(panels: Sequence[Iterable[NDArray[np.uint8]]], *, height_px: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of all panels in one row, scaled to one height: uint8 (height, width, 3) with even sides.

    Args:
        panels: frames of each panel, uint8 (H, W, 3), all of one size. A panel may be a generator.
        height_px: height of the row, even.

    Raises:
        ValueError: the height is odd, or the panels have different lengths.
    """
    if height_px % 2:
        raise ValueError(f"expected an even height, got {height_px}")
    for frames in zip(*panels, strict=True):
        pictures = [_scaled(frame, height_px) for frame in frames]
        width_px = sum(picture.shape[1] for picture in pictures) + GAP_PX * (len(pictures) - 1)
        row = np.full((height_px, width_px, 3), _GAP_GREY, np.uint8)
        left = 0
        for picture in pictures:
            row[:, left : left + picture.shape[1]] = picture
            left += picture.shape[1] + GAP_PX
        yield row


def _scaled(picture: NDArray[np.uint8], height_px: int) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    # Even panel widths give an even total width, which H.264 requires.
    size = (max(2, round(width * height_px / height / 2) * 2), height_px)
    if size == (width, height):
        return picture
    scaled: NDArray[np.uint8] = cv2.resize(
        picture, size, interpolation=cv2.INTER_AREA if height_px < height else cv2.INTER_CUBIC
    )
    return scaled
