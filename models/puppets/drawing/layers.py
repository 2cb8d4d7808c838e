"""Rasterisation of outlined, shaded shapes in painter's order, with per-pixel labels from the same polygons.

Shapes are in camera space (x right, y up, z towards the camera). All outlines of a frame are computed in one batch,
then filled one after the other: colours with anti-aliasing, labels without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from models.puppets.drawing.colours import scaled, shadow
from models.puppets.drawing.geometry import Matrix, Vector
from models.puppets.drawing.outlines import capsule_outlines, convex_hull, ellipse_outlines, inflated
from models.puppets.spec import Colour

_SHIFT = 4
_ONE = float(1 << _SHIFT)
CHARACTER = 1
"""Owner of the character's parts; objects have owners from 2 on, the background is 0."""

_CAPSULE, _CAPSULE_OUTLINE, _CAPSULE_SHADE, _ELLIPSE, _ELLIPSE_OUTLINE, _ELLIPSE_SHADE, _POLYGON = range(7)


@dataclass(slots=True)
class _Op:
    bank: int
    index: int
    colour: Colour | None  # None: darken the existing pixels
    label: int
    convex: bool = True


@dataclass(slots=True)
class Layer:
    """Shapes with one sort key. Within a sub-layer, all outlines are painted before all fills, so shapes merge."""

    drawing: Drawing
    key: float
    owner: int
    darken: float
    part: str = ""
    subs: list[tuple[list[_Op], list[_Op]]] = field(default_factory=lambda: [([], [])])

    def sub(self) -> None:
        """Start a sub-layer on top of the existing ones."""
        self.subs.append(([], []))

    def tone(self, colour: Colour) -> Colour:
        """Colour adjusted to the layer's brightness."""
        return scaled(colour, self.darken)

    def _add(
        self, fill: tuple[int, int], outline: tuple[int, int] | None, colour: Colour, label: int, convex: bool
    ) -> None:
        outlines, fills = self.subs[-1]
        if outline is not None:
            outlines.append(_Op(*outline, self.drawing.outline_colour, label, convex))
            label = 0  # the outline's polygon contains the fill's and sets the label of both
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
        """Closed polygon of (n, 2 or 3) points, at constant depth or interpolated between two points."""
        drawing = self.drawing
        if isinstance(z, tuple):
            label = drawing.new_label(self, *z)
        else:
            flat = np.array((0.0, 0.0, z))
            label = drawing.new_label(self, flat, flat)
        fill = drawing.add_polygon(points)
        rim = drawing.add_polygon(inflated(points[:, :2], drawing.outline)) if outline else None
        self._add(fill, rim, colour, label, convex)

    def hull(self, points: NDArray[np.float64], z: float, colour: Colour, *, outline: bool = True) -> None:
        """Convex hull of (n, 2 or 3) points."""
        self.polygon(convex_hull(points), z, colour, outline=outline, convex=True)

    def decal(self, points: NDArray[np.float64], colour: Colour, *, convex: bool = True) -> None:
        """Paint over the shapes so far, without an outline and without changing labels."""
        self.subs[-1][1].append(_Op(*self.drawing.add_polygon(points), self.tone(colour), 0, convex))

    def shade(self, points: NDArray[np.float64]) -> None:
        """Darken the pixels inside the polygon, which keeps patterns visible in the shade."""
        self.subs[-1][1].append(_Op(*self.drawing.add_polygon(points), None, 0))


class Drawing:
    """Shapes of one frame."""

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
        """Add a layer; layers with a larger `key` are painted later."""
        layer = Layer(self, key, owner, darken, part)
        self.layers.append(layer)
        return layer

    def new_label(self, layer: Layer, a: Vector, b: Vector) -> int:
        """Allocate the label of a shape whose depth is interpolated from point `a` to point `b`."""
        self.owners.append(layer.owner)
        self.parts.append(layer.part)
        self.depth_ends.append((a[0], a[1], a[2], b[0], b[1], b[2]))
        if len(self.owners) > 256:
            raise ValueError("a puppet frame has more than 255 shapes; labels are 8-bit")
        return len(self.owners) - 1

    def add_polygon(self, points: NDArray[np.float64]) -> tuple[int, int]:
        """Store a polygon; returns its bank and index."""
        self.polygons.append(points[:, :2])
        return _POLYGON, len(self.polygons) - 1

    def to_pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert points (..., 2 or 3) in camera space to pixels (..., 2)."""
        x = self.origin[0] + points[..., 0] * self.scale
        y = self.origin[1] - points[..., 1] * self.scale
        return np.stack((x, y), axis=-1)

    def paint(self, rgb: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Paint all layers into an RGB image and a label image, in place."""
        banks = self._banks()
        for layer in sorted(self.layers, key=lambda layer: layer.key):
            for outlines, fills in layer.subs:
                for op in (*outlines, *fills):
                    points = banks[op.bank][op.index]
                    if op.colour is None:
                        darken(rgb, points, 0.25)
                    elif op.convex:
                        cv2.fillConvexPoly(rgb, points, op.colour, cv2.LINE_AA, _SHIFT)
                        if op.label:
                            cv2.fillConvexPoly(labels, points, op.label, cv2.LINE_8, _SHIFT)
                    else:
                        cv2.fillPoly(rgb, [points], op.colour, cv2.LINE_AA, _SHIFT)
                        if op.label:
                            cv2.fillPoly(labels, [points], op.label, cv2.LINE_8, _SHIFT)

    def depth_planes(self) -> NDArray[np.float64]:
        """Depth planes (number of labels, 5) as (a, b, c, low, high): z = clip(a + b·x + c·y, low, high) in pixels."""
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
        batches = (*capsule_outlines(capsule, self.outline, self.dark_side),
                   *ellipse_outlines(ellipse, self.outline, self.dark_side))  # fmt: skip
        banks: list[Sequence[NDArray[np.int32]]] = [list(self._fixed_point(batch)) for batch in batches]
        if self.polygons:
            ends = np.cumsum([len(polygon) for polygon in self.polygons])[:-1]
            banks.append(np.split(self._fixed_point(np.concatenate(self.polygons)), ends))
        else:
            banks.append([])
        return banks

    def _fixed_point(self, points: NDArray[np.float64]) -> NDArray[np.int32]:
        return np.rint(np.clip(self.to_pixels(points), -4e3, 1.2e4) * _ONE).astype(np.int32)


def darken(rgb: NDArray[np.uint8], points: NDArray[np.int32], share: float) -> None:
    """Darken an anti-aliased polygon by `share`, in place. `points`: (n, 2) in 1/16 pixel."""
    height, width = rgb.shape[:2]
    x0, y0 = np.maximum(points.min(axis=0) // 16 - 1, 0)
    x1, y1 = np.minimum(points.max(axis=0) // 16 + 2, (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
    cv2.fillPoly(mask, [points - np.array((x0 * 16, y0 * 16), dtype=np.int32)], (255, 255, 255), cv2.LINE_AA, _SHIFT)
    patch = rgb[y0:y1, x0:x1]
    patch[:] = cv2.subtract(patch, cv2.multiply(patch, mask, scale=share / 255.0))
