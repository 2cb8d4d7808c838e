"""Drawing of outlined, shaded shapes in painter's order, with a label per pixel from the same polygons.

Shapes live in camera space (x right, y up, z towards the camera). All outlines are computed together for one frame, then
filled one after the other: colour with anti-aliasing, label without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.puppets.geometry import Matrix, Vector
from models.puppets.spec import Colour

_SHIFT = 4
_ONE = float(1 << _SHIFT)
_CIRCLE = np.linspace(0.0, 2.0 * math.pi, 28, endpoint=False)
_CIRCLE_XY = np.stack((np.cos(_CIRCLE), np.sin(_CIRCLE)))  # (2, 28)
_HALF = np.linspace(-0.5 * math.pi, 0.5 * math.pi, 11)
_CRESCENT_FORWARD = np.concatenate((np.cos(_HALF), 0.42 * np.cos(_HALF[::-1])))
_CRESCENT_ASIDE = np.concatenate((np.sin(_HALF), np.sin(_HALF[::-1])))
_ARC = np.linspace(0.0, 1.0, 8)

CHARACTER = 1
"""Owner of the character's parts; objects have owners from 2 on, the background is 0."""

_CAPSULE, _CAPSULE_OUTLINE, _CAPSULE_SHADE, _ELLIPSE, _ELLIPSE_OUTLINE, _ELLIPSE_SHADE, _POLYGON = range(7)


@dataclass(slots=True)
class _Op:
    bank: int
    index: int
    colour: Colour
    label: int
    convex: bool = True


@dataclass(slots=True)
class Layer:
    """Shapes that are sorted together. Within a sub-layer all outlines lie below all fills, so neighbours merge."""

    drawing: Drawing
    key: float
    owner: int
    darken: float
    part: str = ""
    subs: list[tuple[list[_Op], list[_Op]]] = field(default_factory=lambda: [([], [])])

    def sub(self) -> None:
        """Start a sub-layer on top of what is there."""
        self.subs.append(([], []))

    def tone(self, colour: Colour, factor: float = 1.0) -> Colour:
        """`colour` as it looks on this layer."""
        f = factor * self.darken
        return (min(int(colour[0] * f), 255), min(int(colour[1] * f), 255), min(int(colour[2] * f), 255))

    def _add(
        self, fill: tuple[int, int], outline: tuple[int, int] | None, colour: Colour, label: int, convex: bool
    ) -> None:
        outlines, fills = self.subs[-1]
        if outline is not None:
            outlines.append(_Op(*outline, self.drawing.outline_colour, label, convex))
            label = 0  # the outline's polygon holds the fill's, so it carries the label of both
        fills.append(_Op(*fill, self.tone(colour), label, convex))

    def capsule(
        self, a: Vector, b: Vector, ra: float, rb: float, colour: Colour, *, outline: bool = True, shade: bool = True
    ) -> None:
        """Limb between two points with a radius at each."""
        drawing = self.drawing
        index = len(drawing.capsules)
        drawing.capsules.append((a[0], a[1], ra, b[0], b[1], rb))
        label = drawing.new_label(self, a, b)
        self._add((_CAPSULE, index), (_CAPSULE_OUTLINE, index) if outline else None, colour, label, True)
        if shade:
            self.subs[-1][1].append(_Op(_CAPSULE_SHADE, index, shadow(self.tone(colour)), 0))

    def ellipsoid(
        self, centre: Vector, axes: Matrix, colour: Colour, *, outline: bool = True, shade: bool = True
    ) -> None:
        """Ellipsoid whose half-axes are the columns of `axes`."""
        drawing = self.drawing
        index = len(drawing.ellipses)
        covariance = axes[:2] @ axes[:2].T
        drawing.ellipses.append((centre[0], centre[1], covariance[0, 0], covariance[0, 1], covariance[1, 1]))
        label = drawing.new_label(self, centre, centre)
        self._add((_ELLIPSE, index), (_ELLIPSE_OUTLINE, index) if outline else None, colour, label, True)
        if shade:
            self.subs[-1][1].append(_Op(_ELLIPSE_SHADE, index, shadow(self.tone(colour)), 0))

    def polygon(
        self,
        points: NDArray[np.float64],
        z: float | tuple[Vector, Vector],
        colour: Colour,
        *,
        outline: bool = True,
        convex: bool = False,
    ) -> None:
        """Closed shape from (n, 2 or 3) points, at one depth or with the depth running between two points."""
        drawing = self.drawing
        if isinstance(z, tuple):
            label = drawing.new_label(self, *z)
        else:
            flat = np.array((0.0, 0.0, z))
            label = drawing.new_label(self, flat, flat)
        fill = drawing.add_polygon(points)
        rim = drawing.add_polygon(_inflated(points[:, :2], drawing.outline)) if outline else None
        self._add(fill, rim, colour, label, convex)

    def hull(self, points: NDArray[np.float64], z: float, colour: Colour, *, outline: bool = True) -> None:
        """Convex hull of (n, 2 or 3) points."""
        self.polygon(convex_hull(points), z, colour, outline=outline, convex=True)

    def decal(self, points: NDArray[np.float64], colour: Colour, *, convex: bool = True) -> None:
        """Paint on top of the shapes so far, without outline and without a label of its own."""
        self.subs[-1][1].append(_Op(*self.drawing.add_polygon(points), self.tone(colour), 0, convex))


class Drawing:
    """One frame being drawn."""

    def __init__(
        self, *, scale: float, origin: tuple[float, float], outline: float, outline_colour: Colour, light: float
    ) -> None:
        """`scale`: pixels per unit; `origin`: pixel of camera space (0, 0); `outline`: width in units."""
        self.scale = scale
        self.origin = origin
        self.outline = outline
        self.outline_colour = outline_colour
        self.dark_side = np.array((-0.8 * light, -0.6))
        self.capsules: list[tuple[float, ...]] = []
        self.ellipses: list[tuple[float, ...]] = []
        self.polygons: list[NDArray[np.float64]] = []
        self.layers: list[Layer] = []
        self.owners: list[int] = [0]
        self.parts: list[str] = [""]
        self.depth_ends: list[tuple[float, ...]] = [(0.0,) * 6]

    def layer(self, key: float, part: str, *, owner: int = CHARACTER, darken: float = 1.0) -> Layer:
        """A new layer; layers with a larger `key` are painted later."""
        layer = Layer(self, key, owner, darken, part)
        self.layers.append(layer)
        return layer

    def new_label(self, layer: Layer, a: Vector, b: Vector) -> int:
        """Label of a shape whose depth runs from that of point `a` to that of point `b`."""
        self.owners.append(layer.owner)
        self.parts.append(layer.part)
        self.depth_ends.append((a[0], a[1], a[2], b[0], b[1], b[2]))
        if len(self.owners) > 256:
            raise ValueError("a puppet frame has more than 255 shapes; labels are 8-bit")
        return len(self.owners) - 1

    def add_polygon(self, points: NDArray[np.float64]) -> tuple[int, int]:
        """Keep a polygon; returns its bank and index."""
        self.polygons.append(points[:, :2])
        return _POLYGON, len(self.polygons) - 1

    def to_pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2 or 3) camera space to (..., 2) pixels."""
        x = self.origin[0] + points[..., 0] * self.scale
        y = self.origin[1] - points[..., 1] * self.scale
        return np.stack((x, y), axis=-1)

    def paint(self, rgb: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Paint all layers into an RGB image and a label image (both changed in place)."""
        banks = self._banks()
        for layer in sorted(self.layers, key=lambda layer: layer.key):
            for outlines, fills in layer.subs:
                for op in (*outlines, *fills):
                    points = banks[op.bank][op.index]
                    if op.convex:
                        cv2.fillConvexPoly(rgb, points, op.colour, cv2.LINE_AA, _SHIFT)
                        if op.label:
                            cv2.fillConvexPoly(labels, points, op.label, cv2.LINE_8, _SHIFT)
                    else:
                        cv2.fillPoly(rgb, [points], op.colour, cv2.LINE_AA, _SHIFT)
                        if op.label:
                            cv2.fillPoly(labels, [points], op.label, cv2.LINE_8, _SHIFT)

    def depth_planes(self) -> NDArray[np.float64]:
        """(number of labels, 5): z = clip(a + b·x + c·y, low, high) over pixels, per label."""
        ends = np.array(self.depth_ends)
        a, b = self.to_pixels(ends[:, 0:2]), self.to_pixels(ends[:, 3:5])
        za, zb = ends[:, 2], ends[:, 5]
        run = b - a
        length = (run * run).sum(axis=1)
        slope = np.where(length > 1.0, (zb - za) / np.maximum(length, 1.0), 0.0)
        slope_x, slope_y = run[:, 0] * slope, run[:, 1] * slope
        middle = 0.5 * (a + b)
        at_zero = 0.5 * (za + zb) - slope_x * middle[:, 0] - slope_y * middle[:, 1]
        return np.stack((at_zero, slope_x, slope_y, np.minimum(za, zb), np.maximum(za, zb)), axis=1)

    def _banks(self) -> list[Sequence[NDArray[np.int32]]]:
        capsule = np.array(self.capsules).reshape(-1, 6)
        ellipse = np.array(self.ellipses).reshape(-1, 5)
        batches = (*_capsule_outlines(capsule, self.outline, self.dark_side),
                   *_ellipse_outlines(ellipse, self.outline, self.dark_side))  # fmt: skip
        banks: list[Sequence[NDArray[np.int32]]] = [self._fixed_point(batch) for batch in batches]
        if self.polygons:
            ends = np.cumsum([len(polygon) for polygon in self.polygons])[:-1]
            banks.append(np.split(self._fixed_point(np.concatenate(self.polygons)), ends))
        else:
            banks.append([])
        return banks

    def _fixed_point(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        return np.rint(np.clip(self.to_pixels(points), -4e3, 1.2e4) * _ONE).astype(np.int32)


def shadow(colour: Colour) -> Colour:
    """The colour on the side away from the light: darker and a little bluer."""
    return int(colour[0] * 0.74), int(colour[1] * 0.74), int(min(colour[2] * 0.82, 255))


def convex_hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, 2) convex hull of (n, 2 or 3) points as seen by the camera."""
    hull = cv2.convexHull(np.ascontiguousarray(points[:, :2], dtype=np.float32))
    return np.asarray(hull[:, 0], dtype=np.float64)


def _inflated(points: NDArray[np.float64], amount: float) -> NDArray[np.float64]:
    """Closed polygon moved outwards along its vertex normals."""
    edges = np.roll(points, -1, axis=0) - points
    edges /= np.maximum(np.sqrt((edges * edges).sum(axis=1, keepdims=True)), 1e-9)
    tangents = edges + np.roll(edges, 1, axis=0)
    normals = np.stack((tangents[:, 1], -tangents[:, 0]), axis=1)
    normals /= np.maximum(np.sqrt((normals * normals).sum(axis=1, keepdims=True)), 1e-9)
    following = np.roll(points, -1, axis=0)
    area = float((points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum())
    return points + normals * math.copysign(amount, area)


def _capsule_outlines(
    capsules: NDArray[np.float64], outline: float, dark: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(n, m, 2) polygons of tapered capsules: filled, with outline, and the strip in shade."""
    a, ra, b, rb = capsules[:, 0:2], capsules[:, 2], capsules[:, 3:5], capsules[:, 5]
    run = b - a
    length = np.sqrt((run * run).sum(axis=1))
    along = np.where(length[:, None] > 1e-6, run / np.maximum(length, 1e-6)[:, None], (1.0, 0.0))
    normal = np.stack((-along[:, 1], along[:, 0]), axis=1)
    taper = np.arcsin(np.clip((ra - rb) / np.maximum(length, 1e-6), -1.0, 1.0))
    first = 0.5 * math.pi - taper
    angles_b = -first[:, None] + 2.0 * first[:, None] * _ARC
    angles_a = first[:, None] + 2.0 * (math.pi - first)[:, None] * _ARC

    def arcs(extra: float) -> NDArray[np.float64]:
        parts = []
        for centre, radius, angles in ((b, rb + extra, angles_b), (a, ra + extra, angles_a)):
            x, y = np.cos(angles) * radius[:, None], np.sin(angles) * radius[:, None]
            parts.append(centre[:, None] + x[:, :, None] * along[:, None] + y[:, :, None] * normal[:, None])
        return np.concatenate(parts, axis=1)

    facing = normal @ dark
    side = np.sign(facing)[:, None] * normal
    inner = (1.0 - 0.72 * np.abs(facing))[:, None]
    rim_a, rim_b = ra[:, None] * 0.98, rb[:, None] * 0.98
    strip = np.stack(
        (a + side * rim_a, b + side * rim_b, b + side * rim_b * 0.7 + along * rim_b * 0.66, b + side * rim_b * inner,
         a + side * rim_a * inner), axis=1)  # fmt: skip
    return arcs(0.0), arcs(outline), strip


def _ellipse_outlines(
    ellipses: NDArray[np.float64], outline: float, dark: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(n, m, 2) polygons of ellipses: filled, with outline, and the crescent in shade."""
    centre = ellipses[:, None, 0:2]
    xx, xy, yy = ellipses[:, 2], ellipses[:, 3], ellipses[:, 4]
    # Cholesky root of the covariance: ((p, 0), (q, r))
    p = np.sqrt(np.maximum(xx, 1e-10))
    q = xy / p
    r = np.sqrt(np.maximum(yy - q * q, 1e-10))
    cos, sin = _CIRCLE_XY
    x, y = p[:, None] * cos, q[:, None] * cos + r[:, None] * sin
    fill = np.stack((x, y), axis=2)
    normal_y = sin / r[:, None]
    normal_x = (cos - q[:, None] * normal_y) / p[:, None]
    normals = np.stack((normal_x, normal_y), axis=2)
    normals /= np.sqrt((normals * normals).sum(axis=2, keepdims=True))
    forward = np.stack((p * dark[0] + q * dark[1], r * dark[1]), axis=1)
    forward /= np.maximum(np.sqrt((forward * forward).sum(axis=1, keepdims=True)), 1e-9)
    cos = _CRESCENT_FORWARD * forward[:, 0:1] - _CRESCENT_ASIDE * forward[:, 1:2]
    sin = _CRESCENT_FORWARD * forward[:, 1:2] + _CRESCENT_ASIDE * forward[:, 0:1]
    crescent = np.stack((p[:, None] * cos, q[:, None] * cos + r[:, None] * sin), axis=2)
    return centre + fill, centre + fill + normals * outline, centre + crescent * 0.99
