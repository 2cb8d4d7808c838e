from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.puppets.drawing.outlines import capsule_outlines, ellipse_outlines, inflated

DARK = np.array((-0.8, -0.6))
coordinate = st.floats(-1.0, 1.0)
radius = st.floats(0.01, 0.3)


def _contains(polygon: np.ndarray, point: np.ndarray, slack: float) -> bool:
    contour = polygon.astype(np.float32).reshape(-1, 1, 2)
    return cv2.pointPolygonTest(contour, (float(point[0]), float(point[1])), True) >= -slack


@given(coordinate, coordinate, radius, coordinate, coordinate, radius)
def test_a_capsule_covers_both_its_circles(ax: float, ay: float, ra: float, bx: float, by: float, rb: float) -> None:
    fill, outline, _ = capsule_outlines(np.array(((ax, ay, ra, bx, by, rb),)), 0.02, DARK)
    assert np.isfinite(fill).all()
    for centre, r in (((ax, ay), ra), ((bx, by), rb)):
        for turn in np.linspace(0, 2 * np.pi, 12):
            rim = np.array(centre) + 0.9 * r * np.array((np.cos(turn), np.sin(turn)))
            assert _contains(fill[0], rim, 1e-2 * r + 1e-3)
    assert cv2.contourArea(outline[0].astype(np.float32)) > cv2.contourArea(fill[0].astype(np.float32))


@given(radius, radius, st.floats(-0.9, 0.9))
def test_an_ellipse_has_its_area_and_its_outline_is_even(a: float, b: float, correlation: float) -> None:
    xy = correlation * a * b
    fill, outline, _ = ellipse_outlines(np.array(((0.1, 0.2, a * a, xy, b * b),)), 0.01, DARK)
    area = np.pi * np.sqrt(a * a * b * b - xy * xy)
    assert abs(cv2.contourArea(fill[0].astype(np.float32)) - area) < 0.02 * area
    np.testing.assert_allclose(np.linalg.norm(outline[0] - fill[0], axis=1), 0.01, rtol=1e-6)


@given(st.lists(st.tuples(coordinate, coordinate), min_size=4, max_size=12, unique=True), st.booleans())
def test_inflating_a_convex_polygon_grows_it(points: list[tuple[float, float]], reverse: bool) -> None:
    hull = cv2.convexHull(np.array(points, dtype=np.float32))[:, 0].astype(np.float64)
    if len(hull) < 3 or cv2.contourArea(hull.astype(np.float32)) < 0.05:
        return
    hull = hull[::-1] if reverse else hull
    grown = inflated(hull, 0.02)
    assert cv2.contourArea(grown.astype(np.float32)) > cv2.contourArea(hull.astype(np.float32))
