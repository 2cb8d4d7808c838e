"""Picture of some frames of a face control, for viewing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.control import FaceControl

NUM_FRAMES = 8
SIDE_PX = 96
GAP_PX = 4
_BORDER_PX = 3
_GREY = 24
_LOST = (255, 150, 40)


def face_strip(control: FaceControl) -> NDArray[np.uint8]:
    """At most `NUM_FRAMES` frames, spread over the clip, side by side: uint8 (H, W, 3) RGB.

    Above the whole face, below eyes and mouth, both cut to the face box. Frames without a face of their own have an
    orange border.
    """
    num_frames = len(control.seen_T)
    count = min(NUM_FRAMES, num_frames)
    shown = [(2 * i + 1) * num_frames // (2 * count) for i in range(count)]
    cell = SIDE_PX + GAP_PX
    strip = np.full((2 * cell - GAP_PX, count * cell - GAP_PX, 3), _GREY, np.uint8)
    for column, frame in enumerate(shown):
        x0, y0, x1, y1 = control.regions.boxes_T4[frame].tolist()
        for row, channels in enumerate((slice(3, 6), slice(0, 3))):
            picture = _square(control.pictures_THWC6[frame, y0:y1, x0:x1, channels])
            if not control.seen_T[frame]:
                corner = SIDE_PX - 1
                cv2.rectangle(picture, (0, 0), (corner, corner), _LOST, _BORDER_PX)
            strip[row * cell : row * cell + SIDE_PX, column * cell : column * cell + SIDE_PX] = picture
    return strip


def _square(picture_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture scaled into a square of `SIDE_PX`, black around it."""
    square = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    if not picture_HWC.size:
        return square
    scale = SIDE_PX / max(picture_HWC.shape[:2])
    height, width = (max(1, round(side * scale)) for side in picture_HWC.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    top, left = (SIDE_PX - height) // 2, (SIDE_PX - width) // 2
    square[top : top + height, left : left + width] = cv2.resize(
        picture_HWC, (width, height), interpolation=interpolation
    )
    return square
