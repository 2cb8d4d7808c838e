"""Colours of an object: where it may be in a frame, and whether a mask shows it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes
from models.perception.letterbox import Box

Bins = NDArray[np.uint16]
Mask = NDArray[np.bool_]

_BINS = 16
"""Bins along each axis of CIELAB; a and b are cut at ±64."""
_AB_BINS = np.clip((np.arange(256) - 64) * _BINS // 128, 0, _BINS - 1)
_BIN_OF_VALUE = np.stack([np.arange(256) * _BINS // 256, _AB_BINS, _AB_BINS], axis=-1).astype(np.uint8)[:, None]
"""Bin of each value of 8-bit L, a and b."""
_SMOOTHING_BINS = 0.7
_UNKNOWN_COUNT, _UNKNOWN_SHARE = 4e-3, 0.25
"""Pixels that every bin has beside the counted ones, and the share of them that are the object's."""
_EDGE = np.ones((5, 5), np.uint8)
_BOX_ROOM = 1.1
"""Sides of a likely box relative to those of the object's box where it is prompted."""


class ObjectColours:
    """Histograms of the colours of an object and of what surrounds it, in the frames in which it is known.

    Args:
        bins: (H, W) of each of these frames, one or more (`colour_bins`).
        masks: (H, W) of the object in each of them, none empty.
    """

    def __init__(self, bins: Sequence[Bins], masks: Sequence[Mask]) -> None:
        own, others = np.zeros(_BINS**3), np.zeros(_BINS**3)
        for bins_HW, mask_HW in zip(bins, masks, strict=True):
            around_HW = cv2.dilate(mask_HW.view(np.uint8), _EDGE) > 0  # pixels at the edge mix both
            own += np.bincount(bins_HW[mask_HW], minlength=_BINS**3)
            others += np.bincount(bins_HW[~around_HW], minlength=_BINS**3)
        self._own = _smoothed(own / len(bins))
        known = self._own + _smoothed(others / len(bins)) + np.float32(_UNKNOWN_COUNT)
        self._share = (self._own + np.float32(_UNKNOWN_SHARE * _UNKNOWN_COUNT)) / known
        x0, y0, x1, y1 = bounding_boxes(np.stack(masks)).T
        self._width_px, self._height_px = (_BOX_ROOM * float(np.median(side)) for side in (x1 - x0, y1 - y0))

    def agreement(self, bins_HW: Bins, mask_HW: Mask, *, growth: float = 1.0) -> float:
        """How far the pixels of a mask have the object's colours, in their amounts, at most 1.

        A pixel counts 1 if its colour is the object's and it is not one too many of that colour, and -1 otherwise; the
        sum is divided by the object's area. Part of an object that is otherwise hidden so has a small positive value,
        and a mask of mostly other pixels a negative one.

        `growth`: area of the object relative to that where it is known.
        """
        own, area = growth * self._own, int(mask_HW.sum())
        counts = _smoothed(np.bincount(bins_HW[mask_HW], minlength=_BINS**3))
        return float(2 * np.minimum(counts, own).sum() - area) / float(own.sum())

    def growth(self, mask_HW: Mask) -> float:
        """Area of a mask relative to the object's where it is known, or 1 if it is smaller, as of a hidden part."""
        return max(float(mask_HW.sum()) / float(self._own.sum()), 1.0)

    def likely_boxes(self, bins_HW: Bins, count: int) -> list[Box]:
        """Boxes of the object's size that hold most of its colours in a frame, best first; they barely overlap."""
        width, height = max(round(self._width_px), 3), max(round(self._height_px), 3)
        density = cv2.boxFilter(self._share[bins_HW], -1, (width, height), borderType=cv2.BORDER_CONSTANT)
        boxes = []
        for _ in range(count):
            y, x = (int(place) for place in np.unravel_index(density.argmax(), density.shape))
            left, top = x + 0.5 - width / 2, y + 0.5 - height / 2
            boxes.append((left, top, left + width, top + height))
            density[max(y - height // 2, 0) : y + height // 2 + 1, max(x - width // 2, 0) : x + width // 2 + 1] = -1
        return boxes


def colour_bins(frame_HWC: NDArray[np.uint8]) -> Bins:
    """Number (H, W) of the bin of each pixel of a frame, uint8 RGB."""
    lightness, a, b = cv2.split(cv2.LUT(cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2LAB), _BIN_OF_VALUE))
    bins: Bins = (lightness.astype(np.uint16) * _BINS + a) * _BINS + b
    return bins


def _smoothed(counts: NDArray[np.generic]) -> NDArray[np.float32]:
    """Histogram with each count shared among the neighbouring bins."""
    cube = counts.astype(np.float32).reshape(_BINS, _BINS, _BINS)
    cube = cv2.GaussianBlur(cube, (3, 3), _SMOOTHING_BINS, borderType=cv2.BORDER_REFLECT)
    along_b = np.ascontiguousarray(cube.transpose(2, 0, 1))
    cube = cv2.GaussianBlur(along_b, (1, 3), _SMOOTHING_BINS, borderType=cv2.BORDER_REFLECT).transpose(1, 2, 0)
    return np.ascontiguousarray(cube).reshape(-1)
