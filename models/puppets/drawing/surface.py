"""Projection of points and patches on an ellipsoid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppets.drawing.geometry import Matrix, Vector

Points = NDArray[np.float64]


class Surface:
    """Ellipsoid with half-axes along (left, up, forward). Longitude 0 is forward, positive to the left, in radians."""

    def __init__(self, centre: Vector, axes: Matrix, radii: tuple[float, float, float]) -> None:
        """`axes`: orthonormal columns."""
        self.centre = centre
        self.axes = axes
        self.radii = np.array(radii)
        self.scaled: Matrix = axes * self.radii
        self._root = np.linalg.cholesky(self.scaled[:2] @ self.scaled[:2].T)  # maps the unit circle to the silhouette
        self._inverse_root = np.linalg.inv(self._root)

    def point(self, x: float, y: float, z: float) -> Vector:
        """Point at multiples of the half-axes; (0, 0, 1) is the front of the surface."""
        return np.asarray(self.centre + self.scaled @ np.array((x, y, z)))

    def directions(self, lonlat: Points) -> Points:
        """Convert longitudes and latitudes (n, 2) to points (n, 3) of the unit sphere."""
        lon, lat = lonlat[:, 0], lonlat[:, 1]
        cos = np.cos(lat)
        return np.stack((np.sin(lon) * cos, np.sin(lat), np.cos(lon) * cos), axis=1)

    def at(self, lonlat: Points, lift: float = 0.0) -> tuple[Points, NDArray[np.bool_]]:
        """Points (n, 3) at longitudes and latitudes (n, 2), scaled by 1 + `lift`, and whether each faces the camera."""
        u = self.directions(lonlat)
        return self.centre + (u * (1.0 + lift)) @ self.scaled.T, (u / self.radii) @ self.axes[2] > 0.0

    def patch(self, directions: Points, inside: Points | None = None) -> Points | None:
        """Visible part (m, 2) of the patch bounded by points (n, 3) of the unit sphere; None if it is not visible.

        The patch is clipped at the silhouette. The clipped boundary follows the silhouette on the side of the direction
        `inside`, a point well inside the patch, or along the shorter arc if `inside` is None.
        """
        view = self.axes[2] / self.radii
        height = directions @ view
        visible = height >= 0.0
        if visible.all():
            return np.asarray(self.centre[:2] + directions @ self.scaled[:2].T)
        if not visible.any():
            return None
        following = np.roll(visible, -1)
        entry = (int(np.argmax(~visible & following)) + 1) % len(directions)
        order = np.roll(np.arange(len(directions)), -entry)
        last = int(np.nonzero(visible[order])[0][-1])
        ends = []
        for front, back in ((order[0], order[-1]), (order[last], order[(last + 1) % len(order)])):
            share = height[front] / (height[front] - height[back])
            cut = directions[front] + share * (directions[back] - directions[front])
            ends.append(self._rim_angle(cut))
        first, second = ends
        span = (first - second) % (2.0 * np.pi)
        forwards = span <= np.pi
        if inside is not None:
            forwards = (self._rim_angle(inside) - second) % (2.0 * np.pi) <= span
        if not forwards:
            span -= 2.0 * np.pi
        angles = second + span * np.linspace(0.0, 1.0, max(int(abs(span) / 0.2), 1) + 1)
        rim = np.stack((np.cos(angles), np.sin(angles)), axis=1) @ self._root.T
        kept = order[: last + 1]
        kept = kept[visible[kept]]
        return np.asarray(self.centre[:2] + np.concatenate((directions[kept] @ self.scaled[:2].T, rim)))

    def _rim_angle(self, direction: Points) -> float:
        x, y = self._inverse_root @ (self.scaled[:2] @ direction)
        return float(np.arctan2(y, x))

    def facing(self, lon: float, lat: float) -> float:
        """Cosine of the angle between the surface normal and the camera direction; negative on the far side."""
        u = self.directions(np.array(((lon, lat),)))[0] / self.radii
        return float(u @ self.axes[2]) / float(np.sqrt(u @ u))


def ellipse_patch(lon: float, lat: float, width: float, height: float, count: int = 16) -> Points:
    """Longitudes and latitudes (n, 2) of an ellipse with the given half-axes in radians."""
    angle = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    return np.stack((lon + width * np.cos(angle), lat + height * np.sin(angle)), axis=1)
