"""Scenery that moves by itself; what a picture of it shows tells how it moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from models.puppets.drawing.brush import Image
from models.puppets.scene.burning import fire, smoke
from models.puppets.scene.falling import leaves, snowfall
from models.puppets.scene.lights import lights
from models.puppets.scene.waterfall import waterfall
from models.puppets.spec import ScenerySpec

_KINDS: Mapping[str, Callable[[ScenerySpec, tuple[int, int], float], Image]] = MappingProxyType(
    {"waterfall": waterfall, "fire": fire, "smoke": smoke, "snowfall": snowfall, "leaves": leaves, "lights": lights}
)
LIVING_KINDS = tuple(_KINDS)


def draw_living(spec: ScenerySpec, size: tuple[int, int], seconds: float) -> Image:
    """Picture (H, W, 3) of the scenery at a time, for frames of `size` (height, width)."""
    return _KINDS[spec.kind](spec, size, seconds)
