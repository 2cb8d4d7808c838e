"""Person crops for Sapiens and the inverse mapping: the unbiased (UDP) transform of arXiv:1911.07524."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PADDING = 1.25
"""Size of the crop relative to the person's box."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crops:
    """One crop per frame: windows around padded boxes, with the aspect ratio of the network's input.

    `origin`, `size`: (T, 2) position of the windows' first pixel and extent, x and y, in pixels of the frame. The first
    and last pixel of the crop lie on the window's ends, so `size` corresponds to (width - 1) pixel steps.
    """

    origin: NDArray[np.float64]
    size: NDArray[np.float64]
    width_px: int
    height_px: int

    @classmethod
    def around(cls, boxes_T4: NDArray[np.float32], *, width_px: int, height_px: int) -> Crops:
        """Crops of `width_px` x `height_px` around boxes x0, y0, x1, y1 with exclusive ends.

        Raises:
            ValueError: a box is empty.
        """
        boxes = np.asarray(boxes_T4, np.float64)
        sides = boxes[:, 2:] - boxes[:, :2]
        if (sides <= 0).any():
            raise ValueError(f"boxes must have x0 < x1 and y0 < y1, got {boxes[(sides <= 0).any(axis=1)][0].tolist()}")
        aspect = width_px / height_px
        width = np.maximum(sides[:, 0], sides[:, 1] * aspect) * PADDING
        size = np.stack([width, width / aspect], axis=1)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        return cls(origin=centre - size / 2, size=size, width_px=width_px, height_px=height_px)

    def cut(self, frames_THWC: NDArray[np.uint8], *, cubic_when_enlarged: bool = False) -> NDArray[np.uint8]:
        """Cut the crops (T, height, width, 3): bilinear, black outside the frame.

        `cubic_when_enlarged`: bicubic for crops with at least as many pixels as their window (Sapiens 2).
        """
        crops = np.empty((len(frames_THWC), self.height_px, self.width_px, 3), np.uint8)
        steps = np.array([self.width_px - 1, self.height_px - 1])
        for t, frame_HWC in enumerate(frames_THWC):
            scale = steps / self.size[t]
            to_crop = np.array(
                [[scale[0], 0, -scale[0] * self.origin[t, 0]], [0, scale[1], -scale[1] * self.origin[t, 1]]]
            )
            cubic = cubic_when_enlarged and scale.min() >= 1
            cv2.warpAffine(
                frame_HWC,
                to_crop,
                (self.width_px, self.height_px),
                dst=crops[t],
                flags=cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR,
            )
        return crops

    def to_frame(self, xy_TK2: NDArray[np.float32], *, width: int, height: int) -> NDArray[np.float32]:
        """Convert points of maps (height, width) over the crops to pixels of the frame.

        The first and last pixel of a map lie on the first and last pixel of the crop.
        """
        share = xy_TK2 / np.array([width - 1, height - 1])
        points: NDArray[np.float32] = (share * self.size[:, None] + self.origin[:, None]).astype(np.float32)
        return points
