"""Backgrounds: painted once per shot as a far and a near panorama, then panned, zoomed and joined per frame."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models.puppets.spec import Colour, ScenerySpec

KINDS = ("room", "park", "beach", "stage", "city", "snow", "studio")
PARALLAX_FAR = 0.3
_MARGIN = 0.6  # of the frame's width, painted on either side

Image = NDArray[np.uint8]


@dataclass(slots=True)
class Panorama:
    """`far` covers everything; `near` (opaque where `near_mask` is 255) moves with the floor. Both wider than the frame."""

    far: Image
    near: Image | None
    near_mask: Image | None
    sky: bool


class _Brush:
    """Drawing in units of the frame's height, origin at the floor under the character, y up."""

    def __init__(self, image: Image, mask: Image | None, centre_px: float, floor_px: float, unit_px: float) -> None:
        self.image, self.mask = image, mask
        self.centre_px, self.floor_px, self.unit_px = centre_px, floor_px, unit_px

    def _px(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        xy = np.stack(
            (self.centre_px + points[:, 0] * self.unit_px, self.floor_px - points[:, 1] * self.unit_px), axis=1
        )
        return np.rint(np.clip(xy, -8e3, 8e3) * 16.0).astype(np.int32)

    def cover(self, other: _Brush) -> None:
        """Start from what another brush has painted, so that smooth edges blend into it."""
        self.image[:] = other.image

    def polygon(self, points: list[tuple[float, float]] | NDArray[np.float64], colour: Colour) -> None:
        fixed = self._px(np.asarray(points, dtype=np.float64))
        cv2.fillPoly(self.image, [fixed], colour, cv2.LINE_AA, 4)
        if self.mask is not None:
            cv2.fillPoly(self.mask, [fixed], 255, cv2.LINE_8, 4)

    def rectangle(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        angle = np.linspace(0.0, 2.0 * math.pi, 24, endpoint=False)
        self.polygon(np.stack((x + rx * np.cos(angle), y + ry * np.sin(angle)), axis=1), colour)

    def gradient(self, low: float, high: float, bottom: Colour, top: Colour) -> None:
        first, last = round(self.floor_px - high * self.unit_px), round(self.floor_px - low * self.unit_px)
        first_row, last_row = max(first, 0), min(last, self.image.shape[0])
        if last_row <= first_row:
            return
        share = ((np.arange(first_row, last_row) - first) / max(last - first, 1))[:, None, None]
        rows = np.array(top) + (np.array(bottom) - np.array(top)) * share
        self.image[first_row:last_row] = rows.astype(np.uint8)
        if self.mask is not None:
            self.mask[first_row:last_row] = 255


_ROOMS: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((238, 214, 186), (196, 148, 106), (250, 240, 224)),
    ((190, 214, 222), (170, 132, 104), (240, 246, 248)),
    ((216, 200, 228), (150, 120, 140), (246, 240, 250)),
    ((204, 222, 190), (186, 156, 116), (244, 248, 236)),
)
_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((206, 234, 250), (118, 184, 236)),
    ((255, 226, 190), (246, 160, 140)),
    ((226, 240, 246), (160, 206, 224)),
    ((150, 130, 190), (70, 66, 130)),
)


@lru_cache(maxsize=24)
def panorama(spec: ScenerySpec, width_px: int, height_px: int, floor_px: int, unit_px: int) -> Panorama:
    """Paint the scenery for frames of a size, with the floor under the character at a row."""
    rng = random.Random(spec.seed)
    margin = int(_MARGIN * width_px)
    shape = (height_px, width_px + 2 * margin)
    far_image = np.zeros((*shape, 3), np.uint8)
    far = _Brush(far_image, None, shape[1] / 2, floor_px, unit_px)
    paint = {"room": _room, "studio": _studio, "stage": _stage}.get(spec.kind)
    if paint is not None:
        paint(far, rng, spec.palette)
        return Panorama(far_image, None, None, sky=False)
    near_image, near_mask = np.zeros_like(far_image), np.zeros(shape, np.uint8)
    near = _Brush(near_image, near_mask, shape[1] / 2, floor_px, unit_px)
    outdoors = {"park": _park, "beach": _beach, "city": _city, "snow": _snow}
    if spec.kind not in outdoors:
        raise ValueError(f"unknown scenery '{spec.kind}', expected one of {KINDS}")
    outdoors[spec.kind](far, near, rng, spec.palette)
    return Panorama(far_image, near_image, near_mask, sky=True)


def view(
    pano: Panorama, spec: ScenerySpec, *, size: tuple[int, int], offset_px: float, zoom: float, pivot: tuple[float, float],
    seconds: float,
) -> Image:  # fmt: skip
    """One frame (H, W, 3) of the panorama, moved by `offset_px` at the floor and zoomed about the pixel `pivot`."""
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
    dark = spec.palette % len(_SKIES) == 3
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


def _room(b: _Brush, rng: random.Random, palette: int) -> None:
    wall, floor, trim = _ROOMS[palette % len(_ROOMS)]
    base = rng.uniform(0.1, 0.22)
    b.gradient(-2.0, 4.0, wall, wall)
    style = rng.randrange(3)
    dim = _scaled(wall, 0.94)
    for index in range(-20, 21):
        if style == 0:
            b.rectangle(index * 0.22, base, 0.1, 3.0, dim)
        elif style == 1:
            for row in range(8):
                b.ellipse(index * 0.26 + 0.13 * (row % 2), base + 0.15 + row * 0.2, 0.03, 0.03, dim)
    b.rectangle(-6.0, base, 12.0, 0.05, trim)
    b.gradient(-2.0, base, _scaled(floor, 1.12), _scaled(floor, 0.92))
    line = _scaled(floor, 0.85)
    for index in range(-24, 25):
        x = index * 0.3
        b.polygon([(x, base), (x + 0.008, base), (x * 1.9 + 0.015, -1.0), (x * 1.9, -1.0)], line)
    for slot in range(-3, 4):
        _furnish(b, rng, 0.62 * slot + 0.31 + rng.uniform(-0.1, 0.1), trim, floor)
    if rng.random() < 0.6:
        rug = (rng.randint(120, 220), rng.randint(90, 170), rng.randint(90, 170))
        b.ellipse(0.0, -0.02, 0.75, 0.09, rug)
        b.ellipse(0.0, -0.02, 0.62, 0.07, _scaled(rug, 1.2))


def _furnish(b: _Brush, rng: random.Random, x: float, trim: Colour, floor: Colour) -> None:
    """Hang or stand one thing at `x` on the wall."""
    kind = rng.choice(("window", "window", "picture", "shelf", "clock", "nothing"))
    if kind == "window":
        b.rectangle(x - 0.25, 0.55, 0.5, 0.62, trim)
        b.rectangle(x - 0.22, 0.58, 0.44, 0.56, (160, 208, 240))
        b.polygon([(x - 0.22, 0.58), (x + 0.22, 0.58), (x + 0.22, 0.7), (x, 0.78), (x - 0.22, 0.66)], (150, 200, 130))
        b.rectangle(x - 0.015, 0.58, 0.03, 0.56, trim)
        b.rectangle(x - 0.22, 0.84, 0.44, 0.03, trim)
    elif kind == "picture":
        b.rectangle(x - 0.17, 0.66, 0.34, 0.4, _scaled(floor, 0.7))
        b.rectangle(x - 0.14, 0.69, 0.28, 0.34, (244, 232, 206))
        b.ellipse(x, 0.86, 0.09, 0.09, (rng.randint(120, 230), rng.randint(100, 190), rng.randint(90, 190)))
    elif kind == "shelf":
        b.rectangle(x - 0.22, 0.72, 0.44, 0.035, _scaled(floor, 0.75))
        left = x - 0.2
        while left < x + 0.15:
            width, height = rng.uniform(0.03, 0.06), rng.uniform(0.12, 0.2)
            b.rectangle(
                left, 0.755, width, height, rng.choice(((206, 96, 84), (96, 140, 190), (226, 184, 96), (120, 160, 120)))
            )
            left += width + 0.006
    elif kind == "clock":
        b.ellipse(x, 0.95, 0.13, 0.13, _scaled(floor, 0.7))
        b.ellipse(x, 0.95, 0.11, 0.11, (250, 246, 236))
        b.polygon([(x - 0.008, 0.95), (x + 0.008, 0.95), (x + 0.004, 1.03), (x - 0.004, 1.03)], (60, 50, 60))
        b.polygon([(x, 0.942), (x, 0.958), (x + 0.06, 0.953), (x + 0.06, 0.947)], (60, 50, 60))


def _studio(b: _Brush, rng: random.Random, palette: int) -> None:
    sky = _SKIES[palette % 3]
    b.gradient(-2.0, 3.0, sky[0], _scaled(sky[1], 1.0))
    light = _scaled(sky[0], 1.06)
    if rng.random() < 0.5:
        for index in range(18):
            a, c = index * 2 * math.pi / 18, (index + 0.5) * 2 * math.pi / 18
            b.polygon(
                [(0.0, 0.5), (4 * math.cos(a), 0.5 + 4 * math.sin(a)), (4 * math.cos(c), 0.5 + 4 * math.sin(c))], light
            )
    else:
        for _ in range(40):
            r = rng.uniform(0.02, 0.07)
            b.ellipse(rng.uniform(-2, 2), rng.uniform(0.1, 1.5), r, r, light)
    b.gradient(-2.0, 0.08, _scaled(sky[1], 0.92), _scaled(sky[1], 0.8))


def _stage(b: _Brush, rng: random.Random, palette: int) -> None:
    cloth = ((150, 44, 60), (54, 70, 130), (90, 56, 120), (40, 100, 96))[palette % 4]
    b.gradient(-2.0, 3.0, _scaled(cloth, 0.9), _scaled(cloth, 0.55))
    for index in range(-14, 15):
        b.polygon(
            [(index * 0.2, 0.1), (index * 0.2 + 0.09, 0.1), (index * 0.2 + 0.07, 3.0), (index * 0.2 + 0.02, 3.0)],
            _scaled(cloth, 1.05),
        )
    wood = (176, 124, 80)
    b.gradient(-2.0, 0.14, wood, _scaled(wood, 0.75))
    for row in (0.06, -0.02, -0.12, -0.24):
        b.rectangle(-6.0, row, 12.0, 0.008, _scaled(wood, 0.66))
    x = rng.uniform(-0.2, 0.2)
    b.ellipse(x, -0.01, 0.62, 0.1, (236, 198, 140))
    for index in range(-10, 11):
        b.ellipse(index * 0.24, 1.28, 0.035, 0.035, (255, 236, 170))


def _scaled(colour: Colour, factor: float) -> Colour:
    return tuple(min(int(c * factor), 255) for c in colour)  # type: ignore[return-value]


def _sky(b: _Brush, palette: int) -> None:
    low, high = _SKIES[palette % len(_SKIES)]
    b.gradient(-2.0, 2.2, low, high)


def _hills(b: _Brush, rng: random.Random, colour: Colour, base: float, rise: float) -> None:
    x = np.linspace(-4.0, 4.0, 60)
    a, c = rng.uniform(0, 6), rng.uniform(0, 6)
    y = base + rise * (0.5 + 0.3 * np.sin(1.7 * x + a) + 0.2 * np.sin(3.1 * x + c))
    b.polygon(np.concatenate((np.stack((x, y), axis=1), ((4.0, -1.0), (-4.0, -1.0)))), colour)


def _tree(b: _Brush, x: float, base: float, size: float, leaf: Colour) -> None:
    b.rectangle(x - 0.035 * size, base, 0.07 * size, 0.5 * size, (120, 86, 58))
    for dx, dy, r in ((-0.16, 0.5, 0.2), (0.16, 0.5, 0.2), (0.0, 0.68, 0.24)):
        b.ellipse(x + dx * size, base + dy * size, r * size, r * size, leaf)
    b.ellipse(x - 0.07 * size, base + 0.74 * size, 0.1 * size, 0.09 * size, _scaled(leaf, 1.12))


def _park(far: _Brush, near: _Brush, rng: random.Random, palette: int) -> None:
    _sky(far, palette)
    night = 0.6 if palette % 4 == 3 else 1.0
    _hills(far, rng, _scaled((150, 200, 160), night), 0.15, 0.35)
    _hills(far, rng, _scaled((124, 184, 128), night), 0.08, 0.25)
    near.cover(far)
    horizon = rng.uniform(0.1, 0.18)
    near.gradient(-2.0, horizon, _scaled((120, 186, 92), night), _scaled((150, 206, 112), night))
    near.polygon([(-6, horizon - 0.05), (6, horizon - 0.05), (6, -0.22), (-6, -0.26)], _scaled((226, 206, 160), night))
    for _ in range(rng.randint(4, 7)):
        _tree(
            near,
            rng.uniform(-1.9, 1.9),
            horizon - 0.02,
            rng.uniform(0.7, 1.2),
            _scaled((86, 160, 84), night * rng.uniform(0.85, 1.1)),
        )
    for _ in range(40):
        x, y = rng.uniform(-2, 2), rng.uniform(-0.5, -0.27)
        near.ellipse(x, y, 0.012, 0.012, rng.choice(((250, 240, 240), (250, 210, 90), (240, 140, 160))))


def _beach(far: _Brush, near: _Brush, rng: random.Random, palette: int) -> None:
    _sky(far, palette)
    far.ellipse(rng.uniform(-0.7, 0.7), 1.05, 0.12, 0.12, (255, 240, 180))
    level = rng.uniform(0.32, 0.42)
    far.gradient(-2.0, level, (120, 206, 214), (70, 150, 200))
    for _ in range(24):
        far.rectangle(
            rng.uniform(-2.5, 2.5), rng.uniform(0.12, level - 0.03), rng.uniform(0.05, 0.2), 0.007, (210, 240, 244)
        )
    near.cover(far)
    x = np.linspace(-3.0, 3.0, 60)
    shore = 0.13 + 0.015 * np.sin(5 * x + rng.uniform(0, 6))
    for lift, colour in ((0.02, (246, 250, 250)), (0.0, (240, 216, 164))):
        near.polygon(np.concatenate((np.stack((x, shore + lift), axis=1), ((3.0, -2.0), (-3.0, -2.0)))), colour)
    for _ in range(60):
        near.ellipse(rng.uniform(-2, 2), rng.uniform(-0.6, 0.1), 0.008, 0.005, (216, 188, 136))
    for side in (-0.95, 1.0):
        if rng.random() < 0.7:
            x0 = side + rng.uniform(-0.15, 0.15)
            near.polygon([(x0, 0.05), (x0 + 0.06, 0.05), (x0 + 0.13, 0.9), (x0 + 0.09, 0.9)], (150, 110, 74))
            for angle in np.linspace(-0.3, math.pi + 0.3, 6):
                tip = (x0 + 0.11 + 0.36 * math.cos(angle), 0.9 + 0.2 * math.sin(angle) - 0.05)
                near.polygon([(x0 + 0.11, 0.93), (0.5 * (x0 + 0.11 + tip[0]), 0.5 * (0.93 + tip[1]) + 0.1), tip,
                              (0.5 * (x0 + 0.11 + tip[0]), 0.5 * (0.93 + tip[1]) + 0.03)], (92, 164, 90))  # fmt: skip


def _city(far: _Brush, near: _Brush, rng: random.Random, palette: int) -> None:
    _sky(far, palette)
    night = palette % 4 == 3
    x = -2.4
    while x < 2.4:
        width, height = rng.uniform(0.22, 0.4), rng.uniform(0.5, 1.15)
        shade = rng.uniform(0.85, 1.1)
        wall = _scaled((96, 90, 130) if night else (190, 190, 206), shade)
        far.rectangle(x, 0.0, width, height, wall)
        pane = (250, 220, 130) if night else _scaled(wall, 1.16)
        for row in np.arange(0.2, height - 0.06, 0.12):
            for column in np.arange(0.04, width - 0.05, 0.09):
                if rng.random() < 0.75:
                    far.rectangle(x + float(column), float(row), 0.045, 0.065, pane)
        x += width + rng.uniform(0.0, 0.04)
    near.cover(far)
    near.gradient(-2.0, 0.14, (150, 150, 158), (176, 176, 182))
    near.rectangle(-6.0, 0.13, 12.0, 0.025, (206, 206, 206))
    for index in range(-12, 13):
        near.polygon(
            [(index * 0.3, 0.13), (index * 0.3 + 0.008, 0.13), (index * 0.5 + 0.012, -0.5), (index * 0.5, -0.5)],
            (140, 140, 148),
        )
    for index in range(-2, 3):
        x = index * 0.8 + rng.uniform(0.1, 0.5)
        near.rectangle(x, 0.14, 0.025, 0.75, (80, 86, 96))
        near.ellipse(x + 0.012, 0.92, 0.05, 0.06, (255, 240, 190))


def _snow(far: _Brush, near: _Brush, rng: random.Random, palette: int) -> None:
    _sky(far, palette if palette % 4 != 1 else 2)
    for index in range(-3, 4):
        x, height = index * 0.75 + rng.uniform(-0.2, 0.2), rng.uniform(0.6, 0.95)
        far.polygon([(x - 0.6, 0.1), (x, height), (x + 0.6, 0.1)], (150, 172, 200))
        far.polygon(
            [
                (x - 0.17, height - 0.2),
                (x, height),
                (x + 0.17, height - 0.2),
                (x + 0.05, height - 0.15),
                (x - 0.06, height - 0.21),
            ],
            (248, 250, 252),
        )
    near.cover(far)
    _hills(near, rng, (232, 240, 248), 0.08, 0.1)
    near.gradient(-2.0, 0.08, (214, 226, 240), (236, 242, 250))
    for _ in range(rng.randint(3, 6)):
        x, size = rng.uniform(-1.8, 1.8), rng.uniform(0.6, 1.0)
        for level in range(3):
            w, y = (0.26 - 0.06 * level) * size, 0.1 + 0.2 * level * size
            near.polygon([(x - w, y), (x + w, y), (x, y + 0.34 * size)], (70, 128, 108))
            near.polygon(
                [(x - 0.35 * w, y + 0.22 * size), (x + 0.35 * w, y + 0.22 * size), (x, y + 0.34 * size)],
                (244, 248, 250),
            )
