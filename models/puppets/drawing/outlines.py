"""Batched computation of outline polygons."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_CIRCLE = np.linspace(0.0, 2.0 * math.pi, 40, endpoint=False)
_CIRCLE_XY = np.stack((np.cos(_CIRCLE), np.sin(_CIRCLE)))  # (2, 40)
_HALF = np.linspace(-0.5 * math.pi, 0.5 * math.pi, 17)
_CRESCENT_FORWARD = np.concatenate((np.cos(_HALF), 0.42 * np.cos(_HALF[::-1])))
_CRESCENT_ASIDE = np.concatenate((np.sin(_HALF), np.sin(_HALF[::-1])))
_ARC = np.linspace(0.0, 1.0, 8)


def convex_hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convex hull (m, 2) of (n, 2 or 3) points in the image plane."""
    hull = cv2.convexHull(np.ascontiguousarray(points[:, :2], dtype=np.float32))
    return np.asarray(hull[:, 0], dtype=np.float64)


def inflated(points: NDArray[np.float64], amount: float) -> NDArray[np.float64]:
    """Closed polygon offset outwards along its vertex normals."""
    edges = np.roll(points, -1, axis=0) - points
    edges /= np.maximum(np.sqrt((edges * edges).sum(axis=1, keepdims=True)), 1e-9)
    tangents = edges + np.roll(edges, 1, axis=0)
    normals = np.stack((tangents[:, 1], -tangents[:, 0]), axis=1)
    normals /= np.maximum(np.sqrt((normals * normals).sum(axis=1, keepdims=True)), 1e-9)
    following = np.roll(points, -1, axis=0)
    area = float((points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum())
    return points + normals * math.copysign(amount, area)


def capsule_outlines(
    capsules: NDArray[np.float64], outline: float, dark: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Polygons (n, m, 2) of tapered capsules: fill, outline, and shaded strip."""
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


def ellipse_outlines(
    ellipses: NDArray[np.float64], outline: float, dark: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Polygons (n, m, 2) of ellipses: fill, outline, and shaded crescent."""
    centre = ellipses[:, None, 0:2]
    xx, xy, yy = ellipses[:, 2], ellipses[:, 3], ellipses[:, 4]
    # Cholesky factor of the covariance: ((p, 0), (q, r))
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
