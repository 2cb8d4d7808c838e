from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.puppets.drawing.geometry import pitch_matrix, yaw_matrix
from models.puppets.drawing.surface import Surface, ellipse_patch

angle = st.floats(-3.1, 3.1)
radius = st.floats(0.05, 1.0)


def _inside(surface: Surface, points: np.ndarray) -> np.ndarray:
    """Largest normalised distance from the centre: 1 on the silhouette."""
    inverse = np.linalg.inv(surface.scaled[:2] @ surface.scaled[:2].T)
    offset = points - surface.centre[:2]
    return np.sqrt(np.einsum("ni,ij,nj->n", offset, inverse, offset))


@given(angle, st.floats(-1.2, 1.2), st.tuples(radius, radius, radius), st.floats(-3, 3), st.floats(-1.3, 1.3))
def test_patches_stay_within_the_silhouette(
    yaw: float, pitch: float, radii: tuple[float, float, float], lon: float, lat: float
) -> None:
    surface = Surface(np.array((0.3, -0.2, 0.1)), yaw_matrix(yaw) @ pitch_matrix(pitch), radii)
    patch = surface.patch(surface.directions(ellipse_patch(lon, lat, 0.3, 0.2)))
    if patch is not None:
        assert _inside(surface, patch).max() <= 1.0 + 1e-6


@given(angle, st.tuples(radius, radius, radius))
def test_a_patch_is_visible_from_its_own_side_only(yaw: float, radii: tuple[float, float, float]) -> None:
    surface = Surface(np.zeros(3), yaw_matrix(yaw), radii)
    for lon in (0.0, 1.0, 2.0, np.pi):
        facing = surface.facing(lon, 0.1)
        patch = surface.patch(surface.directions(ellipse_patch(lon, 0.1, 1e-3, 1e-3)))
        if abs(facing) > 0.1:
            assert (patch is not None) == (facing > 0.0)


def test_a_cap_from_behind_includes_the_top() -> None:
    surface = Surface(np.zeros(3), yaw_matrix(np.pi), (1.0, 1.0, 1.0))
    lon = np.linspace(-np.pi, np.pi, 60, endpoint=False)
    line = surface.directions(np.stack((lon, 0.2 + 0.0 * lon), axis=1))
    cap = surface.patch(line, inside=np.array((0.0, 1.0, 0.0)))
    assert cap is not None
    assert cap[:, 1].max() > 0.98
    assert cap[:, 1].min() > 0.1
