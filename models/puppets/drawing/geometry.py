"""Rotations and two-bone inverse kinematics, with x to the character's left, y up, z forward."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def vector(x: float, y: float, z: float) -> Vector:
    """Vector (3,)."""
    return np.array((x, y, z))


def yaw_matrix(angle: float) -> Matrix:
    """Rotation about y: a positive angle turns forward (z) towards x."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array(((c, 0.0, s), (0.0, 1.0, 0.0), (-s, 0.0, c)))


def pitch_matrix(angle: float) -> Matrix:
    """Rotation about x: a positive angle tips up (y) towards forward (z)."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array(((1.0, 0.0, 0.0), (0.0, c, -s), (0.0, s, c)))


def roll_matrix(angle: float) -> Matrix:
    """Rotation about z: a positive angle tips up (y) towards x."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array(((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0)))


def unit(v: Vector) -> Vector:
    """Normalise `v` to length 1; the zero vector stays zero."""
    length = math.sqrt(float(v @ v))
    return v / length if length > 1e-9 else v


def two_bone(root: Vector, target: Vector, first: float, second: float, pole: Vector) -> tuple[Vector, Vector]:
    """Middle joint and end of two bones of fixed lengths that reach for `target` and bend towards `pole`.

    The distance of an unreachable target is clamped to the reachable range, so the bone lengths are preserved.
    """
    towards = target - root
    distance = math.sqrt(float(towards @ towards))
    direction = towards / distance if distance > 1e-9 else vector(0.0, -1.0, 0.0)
    distance = min(max(distance, abs(first - second) + 1e-3), (first + second) * 0.998)
    along = (first * first - second * second + distance * distance) / (2.0 * distance)
    aside = math.sqrt(max(first * first - along * along, 0.0))
    bend = pole - direction * float(pole @ direction)
    if float(bend @ bend) < 1e-8:
        bend = np.cross(direction, (0.0, 0.0, 1.0) if abs(direction[2]) < 0.9 else (1.0, 0.0, 0.0))
    return root + direction * along + unit(bend) * aside, root + direction * distance
