from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics.keypoints import expression_error, keypoint_distance, landmark_errors, pck
from models.pose.skeleton import FACE, NUM_KEYPOINTS

Keypoints = np.ndarray


def clip(num_frames: int = 3, *, seed: int = 0) -> Keypoints:
    """Random confident keypoints, in a box of 0 to 100 pixels that the first two fill."""
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(0, 100, (num_frames, NUM_KEYPOINTS, 3))
    keypoints[:, 0, :2], keypoints[:, 1, :2] = 0, 100
    keypoints[..., 2] = 0.9
    return keypoints.astype(np.float32)


def test_the_truth_is_right() -> None:
    truth = clip()
    assert pck(truth, truth) == 1
    assert keypoint_distance(truth, truth) == 0
    assert expression_error(truth, truth) == pytest.approx(0, abs=1e-6)


def test_a_moved_keypoint_counts_by_its_distance() -> None:
    truth = clip(1)
    animation = truth.copy()
    animation[0, 5, 0] += 9.9
    assert pck(animation, truth) == 1
    assert keypoint_distance(animation, truth) == pytest.approx(0.099 / NUM_KEYPOINTS, rel=1e-5)
    animation[0, 5, 0] += 0.2
    assert pck(animation, truth) == pytest.approx(1 - 1 / NUM_KEYPOINTS)
    animation[0, 5, 0] += 1000
    assert keypoint_distance(animation, truth) == pytest.approx(1 / NUM_KEYPOINTS)


def test_a_keypoint_without_score_is_not_found() -> None:
    truth = clip(1)
    animation = truth.copy()
    animation[0, 5, 2] = 0.2
    assert pck(animation, truth) == pytest.approx(1 - 1 / NUM_KEYPOINTS)
    assert keypoint_distance(animation, truth) == pytest.approx(1 / NUM_KEYPOINTS)


def test_keypoints_that_the_truth_lacks_do_not_count() -> None:
    truth, animation = clip(1), clip(1)
    truth[0, 5] = (5000, 5000, 0.2)  # far away, but not confident: no part of the character's size either
    assert pck(animation, truth) == 1
    assert keypoint_distance(animation, truth) == 0


def test_clips_without_a_character_have_no_value() -> None:
    truth = clip()
    truth[:, 1:, 2] = 0  # one keypoint per frame has no size
    for measure in (pck, keypoint_distance, expression_error):
        assert measure(clip(), truth) is None
    point = clip()
    point[..., :2] = 7  # all at one place
    assert keypoint_distance(clip(), point) is None
    assert expression_error(clip(), point) is None


@settings(max_examples=25, deadline=None)
@given(angle=st.floats(-3, 3), scale=st.floats(0.3, 3), seed=st.integers(0, 99))
def test_errors_count_expressions_only(angle: float, scale: float, seed: int) -> None:
    face = np.random.default_rng(seed).uniform(0, 50, (1, 68, 2))
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = face @ turn + (7, -9)
    assert landmark_errors(turned, face).max() < 1e-9
    turned[0, 60] += 15 * scale
    assert landmark_errors(turned, face)[0].argmax() == 60


def test_expression_is_of_eyes_and_mouth_in_frames_with_both_faces() -> None:
    truth = clip()
    animation = truth.copy()
    animation[0, FACE.start + 60, :2] += 30
    whole = expression_error(animation, truth)
    face = slice(FACE.start, FACE.stop)
    errors = landmark_errors(animation[:, face, :2], truth[:, face, :2])
    assert whole == pytest.approx(errors[:, 36:].mean(), rel=1e-6)
    animation[0, FACE.start + 3, 2] = 0.1
    assert expression_error(animation, truth) == pytest.approx(0, abs=1e-6)


def test_other_shapes_are_refused() -> None:
    for measure in (pck, keypoint_distance, expression_error):
        with pytest.raises(ValueError, match="one shape"):
            measure(clip(2), clip(3))
