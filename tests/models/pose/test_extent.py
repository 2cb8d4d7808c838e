import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pose.extent import character_size_px


def clip_of(*sides):
    keypoints = np.zeros((len(sides), 133, 3), np.float32)
    for frame, side in zip(keypoints, sides, strict=True):
        frame[0] = (10, 20, 1)
        frame[1] = (10 + side / 2, 20 + side, 1)
        frame[2] = (9999, 9999, 0.1)
    return keypoints


def test_size_is_the_median_of_the_larger_side():
    assert character_size_px(clip_of(80, 100, 300)) == 100


def test_frames_with_one_keypoint_do_not_count():
    keypoints = clip_of(80, 5000)
    keypoints[1, 1, 2] = 0
    assert character_size_px(keypoints) == 80


def test_size_is_zero_without_keypoints():
    assert character_size_px(np.zeros((3, 133, 3), np.float32)) == 0.0


@given(st.floats(0.1, 10), st.floats(-50, 50))
def test_scales_and_does_not_move(scale, shift):
    keypoints = clip_of(60, 70, 90)
    moved = keypoints.copy()
    moved[..., :2] = moved[..., :2] * scale + shift
    assert character_size_px(moved) == pytest.approx(scale * character_size_px(keypoints), rel=1e-4)
