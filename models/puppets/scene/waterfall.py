"""A waterfall between rocks, with a pool below."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from models.puppets.drawing.brush import SKIES, Brush, Image
from models.puppets.drawing.colours import scaled
from models.puppets.scene.flow import Field, blended, colour_table, coloured, grid, noise, scrolled
from models.puppets.scene.outdoors import tree
from models.puppets.spec import Colour, ScenerySpec

_FALL_SPEED = 0.5  # frame heights per second
_FOAM_SPEED = 0.1
_POOL_SPEED = 0.14
_WATERS: tuple[tuple[Colour, Colour], ...] = (
    ((54, 118, 158), (214, 240, 246)),
    ((44, 130, 140), (222, 246, 238)),
    ((76, 108, 168), (226, 234, 250)),
    ((50, 82, 132), (196, 220, 244)),
)


@dataclass(slots=True)
class _Falls:
    rocks: Image
    sheet: Field  # opacity of the falling water
    pool: Field
    foam: Field
    streaks: Field
    strands: Field
    ripples: Field
    ripple_rows: Field  # row of the ripples' texture for each row of the frame
    mist: Field
    table: Image


@lru_cache(maxsize=8)
def _falls(spec: ScenerySpec, size: tuple[int, int]) -> _Falls:
    rng = random.Random(f"waterfall-{spec.seed}")
    height, width = size
    x, y = grid(size)
    half, middle = 0.5 * width / height, rng.uniform(-0.04, 0.04)
    spread, lip, pool = half * rng.uniform(0.98, 1.1), rng.uniform(0.06, 0.15), rng.uniform(0.74, 0.84)
    edge = 0.06 * noise(spec.seed + 1, size, (9, 3))
    reach = spread * (0.96 + 0.16 * y) - edge
    sheet = np.clip((reach - np.abs(x - middle)) * 40.0, 0.0, 1.0) * np.clip((y - lip) * 40.0, 0.0, 1.0)
    depth = np.clip((y - pool) / (1.0 - pool), 0.0, 1.0)
    deep, bright = _WATERS[spec.palette % len(_WATERS)]
    return _Falls(
        rocks=_rocks(spec, rng, size, lip),
        sheet=np.asarray(sheet * (y < pool + 0.02), dtype=np.float32),
        pool=np.clip((y - pool) * 30.0, 0.0, 1.0),
        foam=np.asarray(np.exp(-(((y - pool) / 0.075) ** 2)) * np.clip((1.15 * spread - np.abs(x - middle)) * 8, 0, 1)),
        streaks=noise(spec.seed + 2, size, (5, max(round(15 * width / height), 4))),
        strands=noise(spec.seed + 3, size, (9, max(round(34 * width / height), 8))),
        ripples=noise(spec.seed + 4, size, (26, max(round(7 * width / height), 3))),
        ripple_rows=np.asarray(0.62 * height * np.sqrt(depth[:, 0]), dtype=np.float32),
        mist=noise(spec.seed + 5, size, (9, max(round(9 * width / height), 3))),
        table=colour_table([(0.0, scaled(deep, 0.82)), (0.42, deep), (0.7, bright), (1.0, (252, 254, 255))]),
    )


def _rocks(spec: ScenerySpec, rng: random.Random, size: tuple[int, int], lip: float) -> Image:
    image = np.zeros((*size, 3), np.uint8)
    brush = Brush(image, None, size[1] / 2, size[0], size[0])
    low, high = SKIES[spec.palette % len(SKIES)]
    brush.gradient(0.0, 1.0, low, high)
    green: Colour = rng.choice(((92, 150, 88), (110, 150, 74), (72, 132, 100)))
    for x in np.linspace(-0.7, 0.7, 9):
        tree(brush, float(x) + rng.uniform(-0.06, 0.06), 1.0 - lip - 0.03, rng.uniform(0.16, 0.26), green)
    stone: Colour = rng.choice(((112, 108, 112), (126, 112, 98), (96, 108, 116)))
    brush.rectangle(-1.5, 0.0, 3.0, 1.0 - lip, scaled(stone, 0.7))
    for _ in range(110):
        px, py, r = rng.uniform(-0.9, 0.9), rng.uniform(0.0, 1.0 - lip - 0.05), rng.uniform(0.03, 0.1)
        brush.ellipse(px, py, r, 0.7 * r, scaled(stone, 0.55))
        brush.ellipse(px, py + 0.1 * r, 0.92 * r, 0.6 * r, scaled(stone, rng.uniform(0.8, 1.1)))
        if rng.random() < 0.3:
            brush.ellipse(px, py + 0.45 * r, 0.8 * r, 0.3 * r, scaled(green, rng.uniform(0.8, 1.05)))
    return image


def waterfall(spec: ScenerySpec, size: tuple[int, int], seconds: float) -> Image:
    """Water that falls half a frame height per second; finer strands fall faster, foam rises at the foot."""
    falls = _falls(spec, size)
    height = size[0]
    fall = _FALL_SPEED * height * seconds
    water = 0.62 * scrolled(falls.streaks, fall) + 0.5 * scrolled(falls.strands, 1.25 * fall) - 0.06
    image = blended(falls.rocks, coloured(1.45 * water - 0.28, falls.table), falls.sheet)
    rows = (falls.ripple_rows - _POOL_SPEED * height * seconds) % height
    first = rows.astype(np.int64)
    share = (rows - first)[:, None].astype(np.float32)
    ripples = falls.ripples[first] * (1.0 - share) + falls.ripples[(first + 1) % height] * share
    image = blended(image, coloured(0.85 * ripples - 0.06, falls.table), falls.pool)
    mist = scrolled(falls.mist, -_FOAM_SPEED * height * seconds) + scrolled(falls.mist, 0.0, 0.2 * fall)
    return blended(image, np.full_like(image, 250), np.clip(falls.foam * (0.75 * mist + 0.1), 0.0, 0.92))
