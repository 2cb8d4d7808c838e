from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.pose.absences import INTERPOLATED_SCORE, Absence, find_absences, interpolate_gaps, without_interpolated
from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import NUM_KEYPOINTS


def moving(num_frames: int, fps: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Keypoints that move at constant speed, and times."""
    seconds = np.arange(num_frames) / fps
    keypoints = np.full((num_frames, NUM_KEYPOINTS, 3), 0.9, np.float32)
    keypoints[..., :2] = 10 + 100 * seconds[:, None, None]
    return keypoints, seconds


def test_a_short_gap_is_interpolated_and_a_long_one_is_not() -> None:
    keypoints, seconds = moving(24, 8)
    whole = keypoints.copy()
    keypoints[3:7] = 0  # 4 frames: half a second
    keypoints[12:17] = 0  # 5 frames
    bridged = interpolate_gaps(keypoints, seconds, max_gap_seconds=0.5)
    np.testing.assert_allclose(bridged[3:7, :, :2], whole[3:7, :, :2], rtol=1e-6)
    assert (bridged[3:7, :, 2] == INTERPOLATED_SCORE).all()
    assert not bridged[12:17].any()
    known = np.r_[0:3, 7:12, 17:24]
    np.testing.assert_array_equal(bridged[known], keypoints[known])


def test_interpolated_points_are_drawn_and_can_be_told_apart() -> None:
    keypoints, seconds = moving(5, 10)
    keypoints[2, 7, 2] = 0.1
    bridged = interpolate_gaps(keypoints, seconds, max_gap_seconds=0.2)
    assert bridged[2, 7, 2] >= CONFIDENT_SCORE
    detected = without_interpolated(bridged)
    assert detected[2, 7, 2] == 0
    assert (detected[..., 2] > 0).sum() == detected[..., 2].size - 1


def test_uneven_times_count() -> None:
    keypoints, _ = moving(4, 1)
    seconds = np.array([0.0, 0.1, 0.2, 0.6])
    keypoints[..., :2] = seconds[:, None, None]
    keypoints[1:3] = 0
    bridged = interpolate_gaps(keypoints, seconds, max_gap_seconds=0.5)
    np.testing.assert_allclose(bridged[1:3, 0, 0], [0.1, 0.2], rtol=1e-6)
    assert not interpolate_gaps(keypoints, seconds, max_gap_seconds=0.4)[1:3].any()


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.floats(0, 3))
def test_nothing_is_extrapolated_and_what_is_known_stays(shown: list[bool], max_gap_seconds: float) -> None:
    keypoints, seconds = moving(len(shown), 8)
    keypoints[~np.array(shown)] = 0
    bridged = interpolate_gaps(keypoints, seconds, max_gap_seconds=max_gap_seconds)
    np.testing.assert_array_equal(bridged[shown], keypoints[shown])
    known = np.flatnonzero(shown)
    inside = np.zeros(len(shown), bool)
    if len(known):
        inside[known[0] : known[-1] + 1] = True
    assert not bridged[~inside].any()
    for absence in find_absences(np.array(shown), seconds):
        is_inside = inside[absence.start]
        is_filled = bridged[absence.start : absence.stop].any()
        assert is_filled == (is_inside and absence.duration_seconds <= max_gap_seconds)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([1, 1, 1], []),
        ([0, 1, 0, 0], [(0, 1, 0.25), (2, 4, 0.5)]),
        ([0, 0], [(0, 2, 0.5)]),
        ([0], [(0, 1, 0.0)]),
    ],
)
def test_absences_last_until_the_next_frame_with_the_person(
    shown: list[int], expected: list[tuple[int, int, float]]
) -> None:
    found = find_absences(np.array(shown, bool), np.arange(len(shown)) / 4)
    assert found == [Absence(start=start, stop=stop, duration_seconds=seconds) for start, stop, seconds in expected]
