"""Falling snow, and falling leaves."""

from __future__ import annotations

import math
import random
from functools import lru_cache

import cv2
import numpy as np

from models.puppets.drawing.brush import Brush, Image
from models.puppets.drawing.colours import mixed, scaled
from models.puppets.scene.outdoors import hills, snow, tree
from models.puppets.spec import Colour, ScenerySpec

_FLAKES, _LEAVES = 200, 95
_LEAF_SHAPE = np.array(((-1.0, 0.0), (-0.35, 0.42), (0.3, 0.36), (1.0, 0.0), (0.3, -0.36), (-0.35, -0.42)))
_AUTUMN: tuple[Colour, ...] = ((232, 142, 42), (208, 78, 40), (246, 196, 66), (178, 96, 44), (220, 60, 58))


@lru_cache(maxsize=8)
def _winter(spec: ScenerySpec, size: tuple[int, int]) -> Image:
    rng = random.Random(f"snowfall-{spec.seed}")
    far, near = np.zeros((*size, 3), np.uint8), np.zeros((*size, 3), np.uint8)
    mask = np.zeros(size, np.uint8)
    place = size[1] / 2, 0.9 * size[0], 0.72 * size[0]
    snow(Brush(far, None, *place), Brush(near, mask, *place), rng, spec.palette)
    cv2.copyTo(near, mask, far)
    dusk = rng.choice(((0.5, 0.58, 0.76), (0.42, 0.48, 0.68), (0.58, 0.56, 0.7)))
    return np.asarray(far * np.array(dusk), dtype=np.uint8)


def snowfall(spec: ScenerySpec, size: tuple[int, int], seconds: float) -> Image:
    """Flakes that fall the faster, the larger they are, and drift to one side."""
    image = _winter(spec, size).copy()
    rng = random.Random(f"flakes-{spec.seed}")
    height, width = size
    wind = 2.0 * spec.drift
    flakes = sorted(0.005 + 0.012 * rng.random() ** 2 for _ in range(_FLAKES))
    for radius in flakes:
        speed = 0.08 + 17.0 * radius  # frame heights per second
        x, y, phase = rng.random(), rng.random(), 2.0 * math.pi * rng.random()
        span = 1.0 + 2.0 * radius
        fallen = (y + speed * seconds) % span - radius
        across = width / height + 2.0 * radius
        aside = x * across + wind * seconds + 0.018 * math.sin(phase + 2.2 * seconds)
        centre = (round(((aside % across) - radius) * height * 16), round(fallen * height * 16))
        tone = round(200 + 55 * min(radius / 0.014, 1.0))
        cv2.circle(image, centre, max(round(radius * height * 16), 10), (tone, tone, 255), -1, cv2.LINE_AA, 4)
    return image


@lru_cache(maxsize=8)
def _grove(spec: ScenerySpec, size: tuple[int, int]) -> Image:
    rng = random.Random(f"leaves-{spec.seed}")
    image: Image = np.zeros((*size, 3), np.uint8)
    brush = Brush(image, None, size[1] / 2, size[0], size[0])
    low, high = rng.choice((((250, 226, 190), (150, 194, 220)), ((236, 214, 196), (176, 180, 206)),
                            ((222, 230, 220), (130, 184, 196))))  # fmt: skip
    brush.gradient(0.0, 1.0, low, high)
    hills(brush, rng, (170, 150, 110), 0.22, 0.24)
    hills(brush, rng, (146, 122, 78), 0.14, 0.16)
    brush.gradient(0.0, 0.16, (132, 108, 66), (160, 134, 84))
    for _ in range(7):
        colour = scaled(rng.choice(_AUTUMN), rng.uniform(0.68, 0.85))
        tree(brush, rng.uniform(-0.6, 0.6), rng.uniform(0.08, 0.16), rng.uniform(0.7, 1.05), colour)
    return image


def leaves(spec: ScenerySpec, size: tuple[int, int], seconds: float) -> Image:
    """Leaves that sway and turn as they fall, large ones faster than small ones."""
    image = _grove(spec, size).copy()
    rng = random.Random(f"leaf-{spec.seed}")
    height, width = size
    for radius in sorted(rng.uniform(0.014, 0.038) for _ in range(_LEAVES)):
        speed = 0.06 + 5.5 * radius  # frame heights per second
        x, y, phase = rng.random(), rng.random(), rng.random()
        colour = rng.choice(_AUTUMN)
        swing = 2.0 * math.pi * (phase + 0.55 * seconds)
        span = 1.0 + 2.0 * radius
        fallen = (y + speed * seconds + 0.015 * math.sin(2.0 * swing)) % span - radius
        across = width / height + 4.0 * radius
        aside = (x * across + 0.05 * math.sin(swing)) % across - 2.0 * radius
        turn = 0.9 * math.cos(swing) + 6.0 * phase
        flat = 0.45 + 0.55 * abs(math.sin(1.5 * swing))
        c, s = math.cos(turn), math.sin(turn)
        shape = _LEAF_SHAPE * (radius, flat * radius)
        points = shape @ np.array(((c, s), (-s, c))) + (aside, fallen)
        tone = mixed(scaled(colour, 0.75), colour, flat)
        cv2.fillConvexPoly(image, np.rint(points * height * 16).astype(np.int32), tone, cv2.LINE_AA, 4)
    return image
