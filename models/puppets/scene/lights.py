"""Lights of a concert: beams that sweep, lamps that blink, and a crowd that sways."""

from __future__ import annotations

import colorsys
import math
import random
from functools import lru_cache

import cv2
import numpy as np

from models.puppets.drawing.brush import Brush, Image
from models.puppets.spec import Colour, ScenerySpec

_LAMPS, _TORCHES, _BEAMS = 64, 34, 5


def _colour(hue: float, brightness: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, 0.62, brightness)
    return round(255 * red), round(255 * green), round(255 * blue)


@lru_cache(maxsize=8)
def _hall(spec: ScenerySpec, size: tuple[int, int]) -> Image:
    rng = random.Random(f"hall-{spec.seed}")
    image: Image = np.zeros((*size, 3), np.uint8)
    brush = Brush(image, None, size[1] / 2, size[0], size[0])
    hue = rng.random()
    brush.gradient(0.0, 1.0, _colour(hue, 0.34), _colour(hue + 0.08, 0.1))
    for row, shade in ((0.26, 0.2), (0.16, 0.13), (0.06, 0.07)):
        for x in np.arange(-0.8, 0.8, 0.09):
            px, top = float(x) + rng.uniform(-0.02, 0.02), row + rng.uniform(-0.02, 0.02)
            brush.ellipse(px, top, 0.034, 0.042, _colour(hue, shade))
            brush.ellipse(px, top - 0.11, 0.06, 0.09, _colour(hue, shade))
    return image


@lru_cache(maxsize=512)
def _glow(radius_px: int, colour: Colour) -> Image:
    """Square picture of a lamp: a bright disc with a soft rim."""
    place = np.arange(-radius_px, radius_px + 1, dtype=np.float32) / max(radius_px, 1)
    distance = np.sqrt(place[:, None] ** 2 + place[None] ** 2)
    share = np.clip((1.0 - distance) * 2.2, 0.0, 1.0) * 0.8 + 0.2 * np.clip((0.6 - distance) * 4.0, 0.0, 1.0)
    return np.asarray(share[..., None] * np.array(colour, dtype=np.float32), dtype=np.uint8)


def _add(image: Image, sprite: Image, x: float, y: float, brightness: float) -> None:
    """Add a sprite centred at a pixel, in place."""
    half = sprite.shape[0] // 2
    left, top = round(x) - half, round(y) - half
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + 2 * half + 1, image.shape[1]), min(top + 2 * half + 1, image.shape[0])
    if x1 > x0 and y1 > y0:
        part = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
        image[y0:y1, x0:x1] = cv2.addWeighted(image[y0:y1, x0:x1], 1.0, part, brightness, 0.0)


def lights(spec: ScenerySpec, size: tuple[int, int], seconds: float) -> Image:
    """Lamps that blink the slower, the larger they are, sweeping beams, and torches that the crowd sways."""
    image = _hall(spec, size).copy()
    height, width = size
    rng = random.Random(f"lights-{spec.seed}")
    hue = rng.random()
    _draw_beams(image, rng, hue, seconds)
    for _ in range(_LAMPS):
        x, y, radius, phase = rng.random(), rng.uniform(0.0, 0.7), rng.uniform(0.025, 0.075), rng.random()
        period_seconds = 0.5 + 22.0 * radius
        level = 0.5 + 0.5 * math.sin(2.0 * math.pi * (seconds / period_seconds + phase))
        sprite = _glow(max(round(radius * height), 2), _colour(hue + rng.uniform(-0.12, 0.22), 0.85))
        _add(image, sprite, x * width, y * height, level * level)
    sway = math.sin(2.0 * math.pi * 0.5 * seconds)
    for _ in range(_TORCHES):
        x, y, radius = rng.uniform(-0.05, 1.05), rng.uniform(0.62, 0.92), rng.uniform(0.012, 0.02)
        sprite = _glow(max(round(radius * height), 2), (255, 250, 220))
        _add(image, sprite, x * width + 0.045 * height * sway, y * height, 1.0)
    return image


def _draw_beams(image: Image, rng: random.Random, hue: float, seconds: float) -> None:
    height, width = image.shape[:2]
    light = np.zeros_like(image)
    for index in range(_BEAMS):
        x = (index + 0.5) / _BEAMS * width
        phase, speed = rng.random(), rng.uniform(0.22, 0.34)
        angle = 0.55 * math.sin(2.0 * math.pi * (speed * seconds + phase))
        colour = _colour(hue + 0.1 * index, 0.42)
        ends = [(x, -0.05 * height)]
        ends += [(x + 1.3 * height * math.tan(angle + side), 1.25 * height) for side in (-0.09, 0.09)]
        beam = np.zeros_like(image)
        cv2.fillConvexPoly(beam, np.rint(np.array(ends) * 16).astype(np.int32), colour, cv2.LINE_AA, 4)
        light = cv2.add(light, beam)
    cv2.add(image, light, dst=image)
