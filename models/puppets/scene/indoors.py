"""Indoor backgrounds: rooms, studios and stages."""

from __future__ import annotations

import math
import random

from models.puppets.drawing.brush import SKIES, Brush
from models.puppets.drawing.colours import scaled
from models.puppets.spec import Colour

_ROOMS: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((238, 214, 186), (196, 148, 106), (250, 240, 224)),
    ((190, 214, 222), (170, 132, 104), (240, 246, 248)),
    ((216, 200, 228), (150, 120, 140), (246, 240, 250)),
    ((204, 222, 190), (186, 156, 116), (244, 248, 236)),
)


def room(b: Brush, rng: random.Random, palette: int) -> None:
    """Room with wallpaper, a plank floor and wall decoration."""
    wall, floor, trim = _ROOMS[palette % len(_ROOMS)]
    base = rng.uniform(0.1, 0.22)
    b.gradient(-2.0, 4.0, wall, wall)
    style = rng.randrange(3)
    dim = scaled(wall, 0.94)
    for index in range(-20, 21):
        if style == 0:
            b.rectangle(index * 0.22, base, 0.1, 3.0, dim)
        elif style == 1:
            for row in range(8):
                b.ellipse(index * 0.26 + 0.13 * (row % 2), base + 0.15 + row * 0.2, 0.03, 0.03, dim)
    b.rectangle(-6.0, base, 12.0, 0.05, trim)
    b.gradient(-2.0, base, scaled(floor, 1.12), scaled(floor, 0.92))
    line = scaled(floor, 0.85)
    for index in range(-24, 25):
        x = index * 0.3
        b.polygon([(x, base), (x + 0.008, base), (x * 1.9 + 0.015, -1.0), (x * 1.9, -1.0)], line)
    for slot in range(-3, 4):
        _furnish(b, rng, 0.62 * slot + 0.31 + rng.uniform(-0.1, 0.1), trim, floor)
    if rng.random() < 0.6:
        rug = (rng.randint(120, 220), rng.randint(90, 170), rng.randint(90, 170))
        b.ellipse(0.0, -0.02, 0.75, 0.09, rug)
        b.ellipse(0.0, -0.02, 0.62, 0.07, scaled(rug, 1.2))


def _furnish(b: Brush, rng: random.Random, x: float, trim: Colour, floor: Colour) -> None:
    """Draw a random wall decoration at `x`."""
    kind = rng.choice(("window", "window", "picture", "shelf", "clock", "nothing"))
    if kind == "window":
        b.rectangle(x - 0.25, 0.55, 0.5, 0.62, trim)
        b.rectangle(x - 0.22, 0.58, 0.44, 0.56, (160, 208, 240))
        b.polygon([(x - 0.22, 0.58), (x + 0.22, 0.58), (x + 0.22, 0.7), (x, 0.78), (x - 0.22, 0.66)], (150, 200, 130))
        b.rectangle(x - 0.015, 0.58, 0.03, 0.56, trim)
        b.rectangle(x - 0.22, 0.84, 0.44, 0.03, trim)
    elif kind == "picture":
        b.rectangle(x - 0.17, 0.66, 0.34, 0.4, scaled(floor, 0.7))
        b.rectangle(x - 0.14, 0.69, 0.28, 0.34, (244, 232, 206))
        b.ellipse(x, 0.86, 0.09, 0.09, (rng.randint(120, 230), rng.randint(100, 190), rng.randint(90, 190)))
    elif kind == "shelf":
        b.rectangle(x - 0.22, 0.72, 0.44, 0.035, scaled(floor, 0.75))
        left = x - 0.2
        while left < x + 0.15:
            width, height = rng.uniform(0.03, 0.06), rng.uniform(0.12, 0.2)
            b.rectangle(
                left, 0.755, width, height, rng.choice(((206, 96, 84), (96, 140, 190), (226, 184, 96), (120, 160, 120)))
            )
            left += width + 0.006
    elif kind == "clock":
        b.ellipse(x, 0.95, 0.13, 0.13, scaled(floor, 0.7))
        b.ellipse(x, 0.95, 0.11, 0.11, (250, 246, 236))
        b.polygon([(x - 0.008, 0.95), (x + 0.008, 0.95), (x + 0.004, 1.03), (x - 0.004, 1.03)], (60, 50, 60))
        b.polygon([(x, 0.942), (x, 0.958), (x + 0.06, 0.953), (x + 0.06, 0.947)], (60, 50, 60))


def studio(b: Brush, rng: random.Random, palette: int) -> None:
    """Plain backdrop with rays or bubbles."""
    sky = SKIES[palette % 3]
    b.gradient(-2.0, 3.0, sky[0], scaled(sky[1], 1.0))
    light = scaled(sky[0], 1.06)
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
    b.gradient(-2.0, 0.08, scaled(sky[1], 0.92), scaled(sky[1], 0.8))


def stage(b: Brush, rng: random.Random, palette: int) -> None:
    """Stage with a curtain, a spotlight and a row of lamps."""
    cloth = ((150, 44, 60), (54, 70, 130), (90, 56, 120), (40, 100, 96))[palette % 4]
    b.gradient(-2.0, 3.0, scaled(cloth, 0.9), scaled(cloth, 0.55))
    for index in range(-14, 15):
        b.polygon(
            [(index * 0.2, 0.1), (index * 0.2 + 0.09, 0.1), (index * 0.2 + 0.07, 3.0), (index * 0.2 + 0.02, 3.0)],
            scaled(cloth, 1.05),
        )
    wood = (176, 124, 80)
    b.gradient(-2.0, 0.14, wood, scaled(wood, 0.75))
    for row in (0.06, -0.02, -0.12, -0.24):
        b.rectangle(-6.0, row, 12.0, 0.008, scaled(wood, 0.66))
    x = rng.uniform(-0.2, 0.2)
    b.ellipse(x, -0.01, 0.62, 0.1, (236, 198, 140))
    for index in range(-10, 11):
        b.ellipse(index * 0.24, 1.28, 0.035, 0.035, (255, 236, 170))
