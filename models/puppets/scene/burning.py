"""A wall of flames, and plumes of smoke."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from models.puppets.drawing.brush import Brush, Image
from models.puppets.drawing.colours import scaled
from models.puppets.scene.flow import Field, blended, colour_table, coloured, grid, noise, scrolled
from models.puppets.scene.outdoors import hills
from models.puppets.spec import Colour, ScenerySpec

_FLAME_SPEED = 0.45  # frame heights per second
_SMOKE_SPEED = 0.16
_SPARKS = 45
_FLAMES: tuple[tuple[Colour, ...], ...] = (
    ((120, 22, 12), (216, 62, 20), (250, 150, 40), (255, 222, 110), (255, 248, 214)),
    ((110, 14, 30), (222, 50, 44), (252, 128, 62), (255, 206, 130), (255, 244, 222)),
    ((24, 30, 120), (40, 92, 220), (80, 170, 250), (170, 226, 255), (240, 250, 255)),
    ((130, 40, 8), (226, 92, 12), (252, 176, 36), (255, 232, 120), (255, 252, 226)),
)
_HEATS = (0.0, 0.3, 0.6, 0.85, 1.0)
"""Heat at which a flame has each of its colours."""
_SMOKES: tuple[Colour, ...] = ((232, 232, 236), (250, 176, 196), (176, 206, 250), (206, 186, 246))


@dataclass(slots=True)
class _Fire:
    night: Image
    reach: Field  # height of the flames above each place, less what the place's own height takes away
    coarse: Field
    fine: Field
    bend: Field
    table: Image


@lru_cache(maxsize=8)
def _fire(spec: ScenerySpec, size: tuple[int, int]) -> _Fire:
    rng = random.Random(f"fire-{spec.seed}")
    height, width = size
    x, y = grid(size)
    envelope = np.zeros_like(x[0])
    half = 0.5 * width / height
    for place in np.linspace(-0.95, 0.95, 6):
        tongue = (x[0] - (place + rng.uniform(-0.1, 0.1)) * half) / rng.uniform(0.09, 0.15)
        envelope = np.maximum(envelope, rng.uniform(0.72, 1.05) * np.exp(-(tongue**2)))
    rise = np.clip(0.97 - y, 0.0, 1.0)
    night: Image = np.zeros((*size, 3), np.uint8)
    brush = Brush(night, None, width / 2, height, height)
    brush.gradient(0.0, 1.0, (70, 34, 34), (18, 16, 34))
    hills(brush, rng, (26, 20, 30), 0.1, 0.16)
    for _ in range(9):
        px = rng.uniform(-1.0, 1.0) * half
        brush.polygon([(px - 0.16, 0.0), (px - 0.14, 0.04), (px + 0.15, 0.07), (px + 0.16, 0.02)], (58, 36, 30))
    return _Fire(
        night=night,
        reach=np.asarray(0.62 * envelope[None] - 0.98 * rise, dtype=np.float32),
        coarse=noise(spec.seed + 1, size, (5, max(round(7 * width / height), 3))),
        fine=noise(spec.seed + 2, size, (9, max(round(15 * width / height), 4))),
        bend=noise(spec.seed + 3, size, (4, max(round(4 * width / height), 2))),
        table=colour_table(tuple(zip(_HEATS, _FLAMES[spec.palette % len(_FLAMES)], strict=True))),
    )


def fire(spec: ScenerySpec, size: tuple[int, int], seconds: float) -> Image:
    """Flames that rise about half a frame height per second, small ones faster than large ones, and sparks."""
    burning = _fire(spec, size)
    rise = -_FLAME_SPEED * size[0] * seconds
    coarse, fine = scrolled(burning.coarse, rise), scrolled(burning.fine, 1.5 * rise)
    heat = burning.reach + 0.85 * coarse + 0.4 * fine + 0.2 * scrolled(burning.bend, 0.7 * rise) - 0.42
    image = blended(burning.night, coloured(1.15 * heat, burning.table), np.clip(7.0 * heat, 0.0, 1.0))
    _draw_sparks(image, spec, seconds)
    return image


def _draw_sparks(image: Image, spec: ScenerySpec, seconds: float) -> None:
    rng = random.Random(f"sparks-{spec.seed}")
    height, width = image.shape[:2]
    for _ in range(_SPARKS):
        x, speed, start, swing = rng.random(), rng.uniform(0.25, 0.5), rng.random(), rng.uniform(0.01, 0.04)
        risen = (start + speed * seconds) % 1.0
        place = x * width + swing * height * math.sin(9.0 * risen + 7.0 * x)
        centre = (round(place * 16), round((0.95 - 0.95 * risen) * height * 16))
        colour = scaled((255, 214, 130), 1.0 - 0.6 * risen)
        cv2.circle(image, centre, max(round(0.006 * height * (1.2 - risen) * 16), 8), colour, -1, cv2.LINE_AA, 4)


@dataclass(slots=True)
class _Smoke:
    dusk: Image
    plumes: Field
    coarse: Field
    fine: Field
    table: Image


@lru_cache(maxsize=8)
def _smoke(spec: ScenerySpec, size: tuple[int, int]) -> _Smoke:
    rng = random.Random(f"smoke-{spec.seed}")
    height, width = size
    half = 0.5 * width / height
    x, y = grid(size)
    dusk: Image = np.zeros((*size, 3), np.uint8)
    brush = Brush(dusk, None, width / 2, height, height)
    low: Colour = rng.choice(((214, 120, 96), (120, 132, 170), (196, 150, 110)))
    brush.gradient(0.0, 1.0, low, (40, 44, 78))
    hills(brush, rng, scaled(low, 0.5), 0.12, 0.2)
    hills(brush, rng, scaled(low, 0.34), 0.02, 0.16)
    plumes = np.zeros_like(x)
    for place in (-0.62, 0.0, 0.62):
        px = (place + rng.uniform(-0.12, 0.12)) * half
        brush.rectangle(px - 0.035, 0.0, 0.07, 0.14, (44, 34, 40))
        lean = px + rng.uniform(-0.15, 0.15) * (0.9 - y)
        width_there = 0.05 + 0.26 * np.clip(0.9 - y, 0.0, 1.0)
        plumes = np.maximum(plumes, np.exp(-(((x - lean) / width_there) ** 2)) * (y < 0.88))
    smoke = _SMOKES[spec.palette % len(_SMOKES)]
    return _Smoke(
        dusk=dusk,
        plumes=np.asarray(plumes, dtype=np.float32),
        coarse=noise(spec.seed + 1, size, (4, max(round(5 * width / height), 3))),
        fine=noise(spec.seed + 2, size, (9, max(round(11 * width / height), 4))),
        table=colour_table([(0.0, scaled(smoke, 0.42)), (0.5, scaled(smoke, 0.8)), (1.0, smoke)]),
    )


def smoke(spec: ScenerySpec, size: tuple[int, int], seconds: float) -> Image:
    """Plumes that rise a sixth of a frame height per second, small billows faster than large ones."""
    burning = _smoke(spec, size)
    rise = -_SMOKE_SPEED * size[0] * seconds
    billows = 0.62 * scrolled(burning.coarse, rise) + 0.46 * scrolled(burning.fine, 1.4 * rise)
    opacity = np.clip(2.6 * burning.plumes * (billows - 0.12), 0.0, 0.96)
    return blended(burning.dusk, coloured(1.5 * billows - 0.35, burning.table), opacity)
