"""Turned square regions of a frame: the crops that the networks read, and the way back to the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

UPWARDS, DOWNWARDS = -math.pi / 2, math.pi / 2
"""Directions in a crop, clockwise from its x axis, in radians."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """Square of a frame, turned clockwise by `angle` radians.

    `x`, `y`: centre in pixels of the frame, whose pixel centres have integer coordinates. `side_px`: of the square.
    """

    x: float
    y: float
    side_px: float
    angle: float = 0.0

    @classmethod
    def of_frame(cls, *, width_px: int, height_px: int) -> Region:
        """Smallest upright square that holds a whole frame."""
        return cls(x=(width_px - 1) / 2, y=(height_px - 1) / 2, side_px=max(width_px, height_px))

    @classmethod
    def around(
        cls, centre: NDArray[np.floating], edge: NDArray[np.floating], *, scale: float, towards: float
    ) -> Region:
        """Region around `centre` in which `edge` (both x, y) lies in direction `towards`.

        `scale`: half a side relative to the distance of the two points.
        """
        dx, dy = (float(value) for value in edge - centre)
        return cls(
            x=float(centre[0]),
            y=float(centre[1]),
            side_px=2 * scale * math.hypot(dx, dy),
            angle=math.remainder(math.atan2(dy, dx) - towards, math.tau),
        )

    def moved(self, *, up: float) -> Region:
        """Region moved upwards, as its crop sees it, by `up` of its side."""
        step = up * self.side_px
        return Region(
            x=self.x + step * math.sin(self.angle),
            y=self.y - step * math.cos(self.angle),
            side_px=self.side_px,
            angle=self.angle,
        )

    def to_frame(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points (…, 2) of the frame, from points of the region with 0 and 1 at its edges."""
        offset = (np.asarray(points, np.float64) - 0.5) * self.side_px
        turn = np.array(self._turn())
        moved: NDArray[np.float32] = (offset @ turn.T + (self.x, self.y)).astype(np.float32)
        return moved

    def cut(self, frame_HWC: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
        """Crop (S, S, 3) of the region: bilinear, black outside the frame."""
        crop: NDArray[np.uint8] = cv2.warpAffine(
            frame_HWC, self._from_crop(side_px), (side_px, side_px), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        return crop

    def paste(self, crop_SS: NDArray[np.float32], size_px: tuple[int, int], *, outside: float) -> NDArray[np.float32]:
        """Picture of (height, width) with the crop (S, S) in the place of the region, and `outside` elsewhere."""
        picture: NDArray[np.float32] = cv2.warpAffine(
            crop_SS,
            self._from_crop(len(crop_SS)),
            size_px[::-1],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=outside,
        )
        return picture

    def _turn(self) -> tuple[tuple[float, float], tuple[float, float]]:
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        return (cosine, -sine), (sine, cosine)

    def _from_crop(self, side_px: int) -> NDArray[np.float64]:
        """Affine map (2, 3) from pixels of the crop to pixels of the frame."""
        # As in MediaPipe, pixel 0 of the crop lies on the region's edge, not half a pixel inside it: its networks place
        # their points accordingly.
        turn = np.array(self._turn()) * (self.side_px / side_px)
        return np.column_stack([turn, np.array([self.x, self.y]) + 0.5 - turn @ np.full(2, side_px / 2)])
