"""Mapping between a region of a frame and a network's square input."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels, x1 and y1 exclusive: a whole W x H image is (0, 0, W, H)."""

FILL = 127
"""Padding value around a non-square region; close to 0 after scaling to [-1, 1]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Letterbox:
    """Region (in whole pixels) of an image, resized to fit a square of `side_px` and centred in it."""

    x0: int
    y0: int
    x1: int
    y1: int
    side_px: int

    @classmethod
    def of_frame(cls, *, width_px: int, height_px: int, side_px: int) -> Letterbox:
        """Letterbox of the whole frame."""
        return cls(x0=0, y0=0, x1=width_px, y1=height_px, side_px=side_px)

    @classmethod
    def around(cls, box: Box, *, width_px: int, height_px: int, side_px: int, room: float) -> Letterbox:
        """Letterbox of the square of `room` times the box's longer side around its centre, clipped to the image.

        Raises:
            ValueError: the square lies outside the image.
        """
        half = max(room * max(box[2] - box[0], box[3] - box[1]), 8.0) / 2
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        x0, y0 = max(round(x - half), 0), max(round(y - half), 0)
        x1, y1 = min(round(x + half), width_px), min(round(y + half), height_px)
        if x0 >= x1 or y0 >= y1:
            raise ValueError(f"the region around box {box} lies outside the {width_px} x {height_px} image")
        return cls(x0=x0, y0=y0, x1=x1, y1=y1, side_px=side_px)

    @property
    def inner(self) -> tuple[int, int, int, int]:
        """Box of the region inside the square: x0, y0, x1, y1 in whole pixels."""
        scale = self.side_px / max(self.x1 - self.x0, self.y1 - self.y0)
        width, height = (max(1, round((self.x1 - self.x0) * scale)), max(1, round((self.y1 - self.y0) * scale)))
        left, top = (self.side_px - width) // 2, (self.side_px - height) // 2
        return left, top, left + width, top + height

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut the square (S, S, 3) from an image (H, W, 3)."""
        left, top, right, bottom = self.inner
        square = np.full((self.side_px, self.side_px, 3), FILL, np.uint8)
        region = image[self.y0 : self.y1, self.x0 : self.x1]
        shrinks = right - left < self.x1 - self.x0
        square[top:bottom, left:right] = cv2.resize(
            region, (right - left, bottom - top), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return square

    def points_to_image(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert points (..., 2) of the square to pixels of the image. In both, (0, 0) is the first pixel's centre."""
        left, top, right, bottom = self.inner
        scale = np.array([(self.x1 - self.x0) / (right - left), (self.y1 - self.y0) / (bottom - top)], np.float32)
        shift = np.array([self.x0, self.y0], np.float32)
        corner = np.array([left, top], np.float32)
        return ((xy + 0.5 - corner) * scale + shift - 0.5).astype(np.float32)

    def points_to_square(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert points (..., 2) of the image to pixels of the square: the inverse of `points_to_image`."""
        left, top, right, bottom = self.inner
        scale = np.array([(right - left) / (self.x1 - self.x0), (bottom - top) / (self.y1 - self.y0)], np.float32)
        shift = np.array([self.x0, self.y0], np.float32)
        corner = np.array([left, top], np.float32)
        return ((xy + 0.5 - shift) * scale + corner - 0.5).astype(np.float32)

    def map_to_region(self, square: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resize a map (S, S) over the square to the region: (y1 - y0, x1 - x0)."""
        left, top, right, bottom = self.inner
        size = (self.x1 - self.x0, self.y1 - self.y0)
        resized: NDArray[np.float32] = cv2.resize(
            np.ascontiguousarray(square[top:bottom, left:right]), size, interpolation=cv2.INTER_LINEAR
        )
        return resized
