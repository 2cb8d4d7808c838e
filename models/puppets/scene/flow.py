"""Textures that flow: seamless noise, read at a moving place."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.puppets.drawing.brush import Image
from models.puppets.spec import Colour

Field = NDArray[np.float32]


def noise(seed: int, size: tuple[int, int], cells: tuple[int, int]) -> Field:
    """Smooth noise (H, W) in [0, 1] with `cells` (rows, columns), which continues at the opposite edge."""
    grid = np.random.default_rng(seed).random(cells, dtype=np.float32)
    height, width = size
    padded = np.pad(grid, 2, mode="wrap")
    y = (np.arange(height, dtype=np.float32) + 0.5) * (cells[0] / height) + 1.5
    x = (np.arange(width, dtype=np.float32) + 0.5) * (cells[1] / width) + 1.5
    maps = np.meshgrid(x, y)
    field = cv2.remap(padded, maps[0].astype(np.float32), maps[1].astype(np.float32), cv2.INTER_CUBIC)
    low, high = float(field.min()), float(field.max())
    return np.asarray((field - low) / max(high - low, 1e-6), dtype=np.float32)


def scrolled(field: Field, rows: float, columns: float = 0.0) -> Field:
    """Field moved down by `rows` and right by `columns`, fractions of a pixel included, continued at the edges."""
    for axis, shift in ((0, rows), (1, columns)):
        if shift:
            whole = int(np.floor(shift))
            share = np.float32(shift - whole)
            field = np.roll(field, whole, axis=axis)
            field = field + share * (np.roll(field, 1, axis=axis) - field)
    return field


def colour_table(stops: Sequence[tuple[float, Colour]]) -> Image:
    """Colours (256, 3) interpolated between `stops`: place in [0, 1] and colour."""
    places = np.array([place for place, _ in stops]) * 255.0
    colours = np.array([colour for _, colour in stops], dtype=np.float64)
    levels = np.arange(256.0)
    return np.stack([np.interp(levels, places, colours[:, channel]) for channel in range(3)], axis=1).astype(np.uint8)


def coloured(field: Field | NDArray[np.float64], table: Image) -> Image:
    """Look up values in [0, 1] in a table of colours, clipped."""
    return np.asarray(table[np.clip(field * 255.0, 0.0, 255.0).astype(np.uint8)])


def blended(below: Image, above: Image, share: Field | NDArray[np.float64]) -> Image:
    """Mix two images (H, W, 3): `share` (H, W) in [0, 1] of the one above."""
    opaque = np.clip(share * 256.0, 0.0, 256.0).astype(np.int32)[..., None]
    return np.asarray((below * (256 - opaque) + above * opaque) >> 8, dtype=np.uint8)


def grid(size: tuple[int, int]) -> tuple[Field, Field]:
    """Places of the pixels in frame heights: x (H, W) from the middle, y (H, W) from the top."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return (x - 0.5 * (width - 1)) / height, y / height
