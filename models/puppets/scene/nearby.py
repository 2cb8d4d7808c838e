"""Objects on the floor near a character."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from models.puppets.drawing.colours import scaled
from models.puppets.drawing.geometry import Matrix, Vector, vector, yaw_matrix
from models.puppets.drawing.layers import Drawing, Layer
from models.puppets.drawing.outlines import convex_hull
from models.puppets.drawing.surface import Points
from models.puppets.spec import Colour, ObjectSpec

_WOOD: Colour = (156, 106, 66)


def draw_nearby(drawing: Drawing, item: ObjectSpec, owner: int, camera: Matrix) -> None:
    """Draw an object on the floor at its (x, z)."""
    foot = camera @ vector(item.x, 0.0, item.z)
    layer = drawing.layer(float(foot[2]), "object", owner=owner)
    _DRAWERS[item.kind](layer, item, foot, camera @ yaw_matrix(item.yaw) * (1.0, item.stretch, 1.0))


def seat_height(item: ObjectSpec) -> float:
    """Height of the top that a character sits on, in body heights.

    Raises:
        ValueError: the object's kind is no seat.
    """
    if item.kind not in _SEAT_HEIGHTS:
        raise ValueError(f"object '{item.object_id}' is a {item.kind}, expected a seat: {', '.join(_SEAT_HEIGHTS)}")
    return _SEAT_HEIGHTS[item.kind] * item.size * item.stretch


def draw_ball(layer: Layer, centre: Vector, axes: Matrix, item: ObjectSpec) -> None:
    """Draw a striped ball."""
    size = item.size
    layer.ellipsoid(centre, axes * size, item.colour)
    s = np.linspace(-1.0, 1.0, 12)
    half = 0.22
    upper = np.stack((np.sqrt(1.0 - (half + 0.1 * (1 - s * s)) ** 2) * s, half + 0.25 * (1 - s * s)), axis=1)
    lower = np.stack((np.sqrt(1.0 - half**2) * s, -half + 0.25 * (1 - s * s)), axis=1)
    layer.decal(centre[:2] + np.concatenate((upper, lower[::-1])) * size * 0.98, item.second, convex=False)
    draw_shine(layer, centre, size)


def draw_shine(layer: Layer, centre: Vector, size: float) -> None:
    """Draw a specular highlight on a round object."""
    angle = np.linspace(0.0, 2.0 * math.pi, 10, endpoint=False)
    spot = np.stack((-0.3 + 0.16 * np.cos(angle), 0.42 + 0.2 * np.sin(angle)), axis=1) * size
    layer.decal(centre[:2] + spot, (255, 250, 246))


def _standing_ball(layer: Layer, item: ObjectSpec, foot: Vector, camera: Matrix) -> None:
    draw_ball(layer, foot + camera[:, 1] * item.size, camera, item)


def _box(layer: Layer, item: ObjectSpec, foot: Vector, camera: Matrix) -> None:
    size, up, across = item.size, camera[:, 1], camera[:, 0] * item.size
    draw_block(layer, foot, camera, (size, 1.5 * size, size), item.colour)
    for height in (1.35, 1.8):
        low = foot + up * (height * size) + camera[:, 2] * size
        high = low + up * (0.16 * size)
        layer.decal(np.stack((low - across, low + across, high + across, high - across)), item.second)


def _chair(layer: Layer, item: ObjectSpec, foot: Vector, camera: Matrix) -> None:
    size, up = item.size, camera[:, 1]
    back = foot - camera[:, 2] * (0.9 * size) + up * (2.0 * size)
    draw_block(layer, back, camera, (size, 1.1 * size, 0.1 * size), item.colour)
    for x, z in ((-0.85, -0.8), (0.85, -0.8), (-0.85, 0.8), (0.85, 0.8)):
        leg = foot + camera @ vector(x * size, 0.0, z * size)
        layer.capsule(leg, leg + up * (2.0 * size), 0.12 * size, 0.12 * size, _WOOD)
    layer.sub()
    draw_block(layer, foot + up * (1.9 * size), camera, (size, 0.16 * size, size), item.second)


def _plant(layer: Layer, item: ObjectSpec, foot: Vector, camera: Matrix) -> None:
    size, up = item.size, camera[:, 1]
    soil = foot + up * (1.4 * size)
    for angle, reach in ((-0.9, 2.0), (0.9, 2.0), (-0.4, 2.7), (0.4, 2.7), (0.0, 3.0)):
        tip = soil + camera @ vector(0.7 * math.sin(angle) * reach * size, math.cos(angle) * reach * size, 0.0)
        middle = 0.5 * (soil + tip)
        layer.capsule(soil, middle, 0.1 * size, 0.34 * size, item.second)
        layer.capsule(middle, tip, 0.34 * size, 0.06 * size, item.second)
    layer.sub()
    _turned(layer, foot, camera, ((0.0, 0.62 * size), (1.5 * size, 0.84 * size)), item.colour)


def _lamp(layer: Layer, item: ObjectSpec, foot: Vector, camera: Matrix) -> None:
    size = item.size
    _turned(layer, foot, camera, ((0.0, 0.8 * size), (0.2 * size, 0.8 * size)), _WOOD)
    layer.capsule(foot, foot + camera[:, 1] * (5.5 * size), 0.1 * size, 0.1 * size, _WOOD, shade=False)
    layer.sub()
    _turned(layer, foot, camera, ((5.0 * size, 1.2 * size), (6.8 * size, 0.6 * size)), item.colour)


def _barrel(layer: Layer, item: ObjectSpec, foot: Vector, camera: Matrix) -> None:
    size = item.size
    _turned(
        layer, foot, camera, ((0.0, 0.85 * size), (1.3 * size, 1.05 * size), (2.6 * size, 0.85 * size)), item.colour
    )
    for low in (0.5, 1.9):
        band = _rings(foot, camera, ((low * size, 0.99 * size), ((low + 0.2) * size, 0.99 * size)))
        layer.decal(convex_hull(band), item.second)


def _rings(foot: Vector, camera: Matrix, profile: tuple[tuple[float, float], ...]) -> Points:
    """Points (n, 3) on horizontal circles, each given by its height and radius."""
    angle = np.linspace(0.0, 2.0 * math.pi, 16, endpoint=False)
    circle = np.stack((np.cos(angle), np.zeros(16), np.sin(angle)), axis=1) @ camera.T
    return np.concatenate([foot + camera[:, 1] * height + circle * radius for height, radius in profile])


def _turned(
    layer: Layer, foot: Vector, camera: Matrix, profile: tuple[tuple[float, float], ...], colour: Colour
) -> None:
    """Draw a convex solid of revolution."""
    layer.hull(_rings(foot, camera, profile), float(foot[2]), colour)


def draw_block(layer: Layer, foot: Vector, axes: Matrix, half: tuple[float, float, float], colour: Colour) -> None:
    """Draw a box that stands at `foot`: its hull, then the lit top."""
    w, h, d = half
    corners = np.array([(x, y, z) for x in (-w, w) for y in (0.0, 2.0 * h) for z in (-d, d)]) @ axes.T + foot
    layer.hull(corners, float(foot[2]), colour)
    top = np.array(((-w, 2 * h, -d), (w, 2 * h, -d), (w, 2 * h, d), (-w, 2 * h, d))) @ axes.T + foot
    layer.decal(top, scaled(colour, 1.25))


_DRAWERS: Mapping[str, Callable[[Layer, ObjectSpec, Vector, Matrix], None]] = MappingProxyType(
    {"ball": _standing_ball, "box": _box, "chair": _chair, "plant": _plant, "lamp": _lamp, "barrel": _barrel}
)
NEARBY_KINDS = tuple(_DRAWERS)
_SEAT_HEIGHTS: Mapping[str, float] = MappingProxyType({"box": 3.0, "chair": 2.22, "barrel": 2.6})  # in sizes
