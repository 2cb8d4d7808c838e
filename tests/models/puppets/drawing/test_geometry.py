from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.puppets.drawing.geometry import pitch_matrix, roll_matrix, two_bone, vector, yaw_matrix

coordinate = st.floats(-2.0, 2.0)
point = st.tuples(coordinate, coordinate, coordinate).map(np.array)
length = st.floats(0.05, 1.0)


@given(st.floats(-7, 7))
def test_rotations_keep_lengths_and_handedness(angle: float) -> None:
    for matrix in (yaw_matrix(angle), pitch_matrix(angle), roll_matrix(angle)):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-9)
        assert math.isclose(np.linalg.det(matrix), 1.0, rel_tol=1e-9)


def test_rotations_have_the_documented_direction() -> None:
    assert (yaw_matrix(0.3) @ vector(0, 0, 1))[0] > 0  # forward turns towards x
    assert (pitch_matrix(0.3) @ vector(0, 1, 0))[2] > 0  # up nods forward
    assert (roll_matrix(0.3) @ vector(0, 1, 0))[0] > 0  # up tilts towards x


@given(point, point, length, length, point)
def test_bones_keep_their_lengths(
    root: np.ndarray, target: np.ndarray, first: float, second: float, pole: np.ndarray
) -> None:
    middle, end = two_bone(root, target, first, second, pole)
    assert math.isclose(np.linalg.norm(middle - root), first, rel_tol=1e-5, abs_tol=1e-7)
    assert math.isclose(np.linalg.norm(end - middle), second, rel_tol=1e-2, abs_tol=2e-3)


@given(point, length, length, point)
def test_a_target_within_reach_is_reached(root: np.ndarray, first: float, second: float, direction: np.ndarray) -> None:
    norm = float(np.linalg.norm(direction))
    if norm < 1e-3:
        return
    reach = abs(first - second) + 0.01 + 0.9 * (0.99 * (first + second) - abs(first - second) - 0.01)
    target = root + direction / norm * reach
    _, end = two_bone(root, target, first, second, vector(0.3, -1.0, 0.2))
    np.testing.assert_allclose(end, target, atol=1e-6)
