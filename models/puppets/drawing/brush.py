"""Polygon painting of backgrounds, in resolution-independent units."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from models.puppets.spec import Colour

Image = NDArray[np.uint8]

SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((206, 234, 250), (118, 184, 236)),
    ((255, 226, 190), (246, 160, 140)),
    ((226, 240, 246), (160, 206, 224)),
    ((150, 130, 190), (70, 66, 130)),
)
"""Sky colours at the horizon and at the zenith; the last is night."""


class Brush:
    """Painter of polygons, in multiples of `unit_px` with the origin at the floor under the character and y up."""

    def __init__(self, image: Image, mask: Image | None, centre_px: float, floor_px: float, unit_px: float) -> None:
        self.image, self.mask = image, mask
        self.centre_px, self.floor_px, self.unit_px = centre_px, floor_px, unit_px

    def _px(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        xy = np.stack(
            (self.centre_px + points[:, 0] * self.unit_px, self.floor_px - points[:, 1] * self.unit_px), axis=1
        )
        return np.rint(np.clip(xy, -8e3, 8e3) * 16.0).astype(np.int32)

    def cover(self, other: Brush) -> None:
        """Copy another brush's image, so that anti-aliased edges blend into it."""
        self.image[:] = other.image

    def polygon(self, points: list[tuple[float, float]] | NDArray[np.float64], colour: Colour) -> None:
        """Fill a polygon given by (n, 2) points."""
        fixed = self._px(np.asarray(points, dtype=np.float64))
        cv2.fillPoly(self.image, [fixed], colour, cv2.LINE_AA, 4)
        if self.mask is not None:
            cv2.fillPoly(self.mask, [fixed], 255, cv2.LINE_8, 4)

    def rectangle(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Fill a rectangle given by its lower left corner."""
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse given by its centre and half-axes."""
        angle = np.linspace(0.0, 2.0 * math.pi, 24, endpoint=False)
        self.polygon(np.stack((x + rx * np.cos(angle), y + ry * np.sin(angle)), axis=1), colour)

    def gradient(self, low: float, high: float, bottom: Colour, top: Colour) -> None:
        """Fill the whole width between two heights, from the colour `bottom` to the colour `top`."""
        first, last = round(self.floor_px - high * self.unit_px), round(self.floor_px - low * self.unit_px)
        first_row, last_row = max(first, 0), min(last, self.image.shape[0])
        if last_row <= first_row:
            return
        share = ((np.arange(first_row, last_row) - first) / max(last - first, 1))[:, None, None]
        rows = np.array(top) + (np.array(bottom) - np.array(top)) * share
        self.image[first_row:last_row] = rows.astype(np.uint8)
        if self.mask is not None:
            self.mask[first_row:last_row] = 255
