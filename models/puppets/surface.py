"""Points and patches on an ellipsoid, as the camera sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.puppets.geometry import Matrix, Vector

Points = NDArray[np.float64]


class Surface:
    """An ellipsoid with half-axes along (left, up, forward). Longitude 0 is forward, positive to the left; radians."""

    def __init__(self, centre: Vector, axes: Matrix, radii: tuple[float, float, float]) -> None:
        """`axes`: orthonormal columns."""
        self.centre = centre
        self.axes = axes
        self.radii = np.array(radii)
        self.scaled: Matrix = axes * self.radii
        self._inverse_covariance = np.linalg.inv(self.scaled[:2] @ self.scaled[:2].T)

    def point(self, x: float, y: float, z: float) -> Vector:
        """Point at shares of the half-axes; (0, 0, 1) is the front of the surface."""
        return self.centre + self.scaled @ np.array((x, y, z))

    def directions(self, lonlat: Points) -> Points:
        """(n, 2) longitude and latitude to (n, 3) points of the unit sphere."""
        lon, lat = lonlat[:, 0], lonlat[:, 1]
        cos = np.cos(lat)
        return np.stack((np.sin(lon) * cos, np.sin(lat), np.cos(lon) * cos), axis=1)

    def at(self, lonlat: Points, lift: float = 0.0) -> tuple[Points, NDArray[np.bool_]]:
        """Points at (n, 2) longitudes and latitudes, raised by a share `lift`; and whether each faces the camera."""
        u = self.directions(lonlat)
        return self.centre + (u * (1.0 + lift)) @ self.scaled.T, (u / self.radii) @ self.axes[2] > 0.0

    def patch(self, directions: Points) -> Points:
        """(n, 2) outline of the visible part of a patch given by (n, 3) points of the unit sphere.

        What lies on the far side is brought to the silhouette, so a patch that wraps around ends at the rim.
        """
        offset = directions @ self.scaled[:2].T
        hidden = (directions / self.radii) @ self.axes[2] < 0.0
        if hidden.any():
            far = offset[hidden]
            reach = np.sqrt(np.einsum("ni,ij,nj->n", far, self._inverse_covariance, far))
            offset[hidden] = far / np.maximum(reach, 1e-6)[:, None]
        return self.centre[:2] + offset

    def facing(self, lon: float, lat: float) -> float:
        """How much the surface there faces the camera: 1 straight at it, 0 at the rim, negative beyond."""
        u = self.directions(np.array(((lon, lat),)))[0] / self.radii
        return float(u @ self.axes[2]) / float(np.sqrt(u @ u))


def ellipse_patch(lon: float, lat: float, width: float, height: float, count: int = 16) -> Points:
    """(n, 2) longitudes and latitudes of an ellipse with the given half-sizes in radians."""
    angle = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    return np.stack((lon + width * np.cos(angle), lat + height * np.sin(angle)), axis=1)
