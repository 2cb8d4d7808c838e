"""Outdoor backgrounds: park, beach, city and snow, each with a far and a near layer."""

from __future__ import annotations

import math
import random

import numpy as np

from models.puppets.drawing.brush import SKIES, Brush
from models.puppets.drawing.colours import scaled
from models.puppets.spec import Colour


def sky(b: Brush, palette: int) -> None:
    """Paint the sky of a palette."""
    low, high = SKIES[palette % len(SKIES)]
    b.gradient(-2.0, 2.2, low, high)


def hills(b: Brush, rng: random.Random, colour: Colour, base: float, rise: float) -> None:
    """Paint a row of hills from the height `base` up to `base + rise`."""
    x = np.linspace(-4.0, 4.0, 60)
    a, c = rng.uniform(0, 6), rng.uniform(0, 6)
    y = base + rise * (0.5 + 0.3 * np.sin(1.7 * x + a) + 0.2 * np.sin(3.1 * x + c))
    b.polygon(np.concatenate((np.stack((x, y), axis=1), ((4.0, -1.0), (-4.0, -1.0)))), colour)


def tree(b: Brush, x: float, base: float, size: float, leaf: Colour) -> None:
    """Paint a tree with a round crown."""
    b.rectangle(x - 0.035 * size, base, 0.07 * size, 0.5 * size, (120, 86, 58))
    for dx, dy, r in ((-0.16, 0.5, 0.2), (0.16, 0.5, 0.2), (0.0, 0.68, 0.24)):
        b.ellipse(x + dx * size, base + dy * size, r * size, r * size, leaf)
    b.ellipse(x - 0.07 * size, base + 0.74 * size, 0.1 * size, 0.09 * size, scaled(leaf, 1.12))


def park(far: Brush, near: Brush, rng: random.Random, palette: int) -> None:
    """Hills, trees and a path."""
    sky(far, palette)
    night = 0.6 if palette % 4 == 3 else 1.0
    hills(far, rng, scaled((150, 200, 160), night), 0.15, 0.35)
    hills(far, rng, scaled((124, 184, 128), night), 0.08, 0.25)
    near.cover(far)
    horizon = rng.uniform(0.1, 0.18)
    near.gradient(-2.0, horizon, scaled((120, 186, 92), night), scaled((150, 206, 112), night))
    near.polygon([(-6, horizon - 0.05), (6, horizon - 0.05), (6, -0.22), (-6, -0.26)], scaled((226, 206, 160), night))
    for _ in range(rng.randint(4, 7)):
        tree(
            near,
            rng.uniform(-1.9, 1.9),
            horizon - 0.02,
            rng.uniform(0.7, 1.2),
            scaled((86, 160, 84), night * rng.uniform(0.85, 1.1)),
        )
    for _ in range(40):
        x, y = rng.uniform(-2, 2), rng.uniform(-0.5, -0.27)
        near.ellipse(x, y, 0.012, 0.012, rng.choice(((250, 240, 240), (250, 210, 90), (240, 140, 160))))


def beach(far: Brush, near: Brush, rng: random.Random, palette: int) -> None:
    """Sea, sand and palms."""
    sky(far, palette)
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


def city(far: Brush, near: Brush, rng: random.Random, palette: int) -> None:
    """Row of houses, pavement and street lamps."""
    sky(far, palette)
    night = palette % 4 == 3
    x = -2.4
    while x < 2.4:
        width, height = rng.uniform(0.22, 0.4), rng.uniform(0.5, 1.15)
        shade = rng.uniform(0.85, 1.1)
        wall = scaled((96, 90, 130) if night else (190, 190, 206), shade)
        far.rectangle(x, 0.0, width, height, wall)
        pane = (250, 220, 130) if night else scaled(wall, 1.16)
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


def snow(far: Brush, near: Brush, rng: random.Random, palette: int) -> None:
    """Snowy mountains and firs."""
    sky(far, palette if palette % 4 != 1 else 2)
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
    hills(near, rng, (232, 240, 248), 0.08, 0.1)
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
