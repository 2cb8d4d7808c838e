"""Backgrounds: a far and a near panorama painted once per shot, then panned, zoomed and composited per frame."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from models.puppets.drawing.brush import SKIES, Brush, Image
from models.puppets.scene import indoors, outdoors
from models.puppets.scene.living import draw_living
from models.puppets.spec import ScenerySpec

_INDOORS = {"room": indoors.room, "studio": indoors.studio, "stage": indoors.stage}
_OUTDOORS = {"park": outdoors.park, "beach": outdoors.beach, "city": outdoors.city, "snow": outdoors.snow}
KINDS = (*_INDOORS, *_OUTDOORS)
PARALLAX_FAR = 0.3
_MARGIN = 0.6  # margin painted on either side, relative to the frame's width


@dataclass(slots=True)
class Panorama:
    """Background layers, wider than the frame. `near` is opaque where `near_mask` is 255, and moves with the floor."""

    far: Image
    near: Image | None
    near_mask: Image | None
    sky: bool


@lru_cache(maxsize=24)
def panorama(spec: ScenerySpec, width_px: int, height_px: int, floor_px: int, unit_px: int) -> Panorama:
    """Paint the scenery for frames of the given size, with the floor under the character at row `floor_px`."""
    rng = random.Random(spec.seed)
    margin = int(_MARGIN * width_px)
    shape = (height_px, width_px + 2 * margin)
    far_image = np.zeros((*shape, 3), np.uint8)
    far = Brush(far_image, None, shape[1] / 2, floor_px, unit_px)
    if spec.kind in _INDOORS:
        _INDOORS[spec.kind](far, rng, spec.palette)
        return Panorama(far_image, None, None, sky=False)
    near_image, near_mask = np.zeros_like(far_image), np.zeros(shape, np.uint8)
    near = Brush(near_image, near_mask, shape[1] / 2, floor_px, unit_px)
    _OUTDOORS[spec.kind](far, near, rng, spec.palette)
    return Panorama(far_image, near_image, near_mask, sky=True)


def view(
    pano: Panorama,
    spec: ScenerySpec,
    *,
    size: tuple[int, int],
    offset_px: float,
    zoom: float,
    pivot: tuple[float, float],
    seconds: float,
) -> Image:
    """View (H, W, 3) of the panorama, shifted by `offset_px` at the floor and zoomed about the pixel `pivot`."""
    far = _crop(pano.far, size, offset_px * (PARALLAX_FAR if pano.near is not None else 1.0), zoom, pivot)
    if pano.sky:
        _clouds(far, spec, seconds, offset_px * 0.15)
    if pano.near is None or pano.near_mask is None:
        return far
    near = _crop(pano.near, size, offset_px, zoom, pivot)
    mask = _crop(pano.near_mask, size, offset_px, zoom, pivot)
    top = int(np.argmax(mask.any(axis=1)))
    cv2.copyTo(near[top:], mask[top:], far[top:])
    return far


def living_view(
    spec: ScenerySpec,
    *,
    size: tuple[int, int],
    offset_px: float,
    zoom: float,
    pivot: tuple[float, float],
    seconds: float,
) -> Image:
    """View (H, W, 3) of scenery that moves by itself, shifted by `offset_px` and zoomed about the pixel `pivot`."""
    return _crop(draw_living(spec, size, seconds), size, offset_px, zoom, pivot)


def _crop(image: Image, size: tuple[int, int], offset_px: float, zoom: float, pivot: tuple[float, float]) -> Image:
    height, width = size
    left = (image.shape[1] - width) / 2.0 + offset_px
    if zoom == 1.0 and offset_px == 0.0:
        return image[:, int(left) : int(left) + width].copy()
    inverse = 1.0 / zoom
    matrix = np.array(((inverse, 0.0, left + pivot[0] * (1.0 - inverse)), (0.0, inverse, pivot[1] * (1.0 - inverse))))
    return np.asarray(
        cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
        ),
        dtype=np.uint8,
    )


def _clouds(image: Image, spec: ScenerySpec, seconds: float, offset_px: float) -> None:
    rng = random.Random(spec.seed + 1)
    height, width = image.shape[:2]
    dark = spec.palette % len(SKIES) == 3
    for _ in range(3):
        size = rng.uniform(0.05, 0.09) * height
        start, row = rng.random(), rng.uniform(0.06, 0.26) * height
        span = width + 6.0 * size
        x = (start * span + spec.drift * height * seconds - offset_px) % span - 3.0 * size
        for dx, dy, share in ((-1.3, 0.25, 0.7), (0.0, 0.0, 1.0), (1.2, 0.2, 0.75), (0.5, 0.4, 0.8)):
            centre = (round((x + dx * size) * 16), round((row + dy * size) * 16))
            axes = (round(1.1 * share * size * 16), round(0.62 * share * size * 16))
            colour = (250, 250, 252) if not dark else (120, 110, 160)
            cv2.ellipse(image, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA, 4)
