from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.depth.joint_depth import SEARCH_SHARE, draw_structured_depth, joint_depths
from models.depth.structured import LINE_WIDTH_SHARE, skeleton_masks
from models.pose.skeleton import INDEX, LIMBS, NUM_KEYPOINTS
from models.puppets import render, sample_spec

SHOULDER, ELBOW = LIMBS["left_upper_arm"]
WRIST = INDEX["left_wrist"]


def skeleton(**joints: tuple[float, float]) -> np.ndarray:
    """One frame, (1, 133, 3), with the given joints alone."""
    keypoints = np.zeros((1, NUM_KEYPOINTS, 3), np.float32)
    for name, xy in joints.items():
        keypoints[0, INDEX[name]] = (*xy, 1.0)
    return keypoints


def depths(**joints: float) -> np.ndarray:
    values = np.full((1, NUM_KEYPOINTS), np.nan, np.float32)
    for name, depth in joints.items():
        values[0, INDEX[name]] = depth
    return values


@given(
    seed=st.integers(0, 10_000),
    x=st.floats(-5, 105, width=32),
    y=st.floats(-5, 85, width=32),
    known=st.floats(0.0, 0.2),
)
def test_a_joint_has_the_depth_of_the_nearest_known_pixel(seed: int, x: float, y: float, known: float) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 9, (1, 80, 100)).astype(np.float32)
    depth[rng.uniform(size=depth.shape) >= known] = np.nan
    found = joint_depths(depth, skeleton(left_wrist=(x, y)))
    assert np.isnan(np.delete(found[0], WRIST)).all()
    column, row = np.rint([x, y])
    rows, columns = np.nonzero(~np.isnan(depth[0]))
    distances = np.hypot(rows - row, columns - column)
    inside = 0 <= column < 100 and 0 <= row < 80
    if not inside or not len(distances) or distances.min() > SEARCH_SHARE * 80:
        # The radius is a whole number of pixels, 2 here.
        assert np.isnan(found[0, WRIST]) == (not inside or not len(distances) or distances.min() > 2)
        return
    nearest = np.isclose(distances, distances.min())
    assert found[0, WRIST] in depth[0, rows[nearest], columns[nearest]]


def test_undetected_joints_have_no_depth() -> None:
    keypoints = skeleton(left_wrist=(10, 10))
    keypoints[0, WRIST, 2] = 0.2
    assert np.isnan(joint_depths(np.ones((1, 32, 32), np.float32), keypoints)).all()


def test_depth_of_other_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="expected keypoints of 2 frames"):
        joint_depths(np.ones((2, 8, 8), np.float32), skeleton())


def test_a_limb_grades_from_joint_to_joint() -> None:
    drawn = draw_structured_depth(
        depths(left_shoulder=5.0, left_elbow=2.0),
        skeleton(left_shoulder=(4, 20), left_elbow=(60, 20)),
        (40, 64),
    )[0]
    line = drawn[20, 4:61].astype(int)
    assert (line[0], line[-1]) == (pytest.approx(1, abs=5), pytest.approx(255, abs=5))
    assert (np.diff(line) >= 0).all()
    assert np.abs(line - np.linspace(1, 255, len(line))).max() < 16
    assert not drawn[:18].any()
    assert not drawn[23:].any()


def test_levels_span_the_clip() -> None:
    frames = np.concatenate([skeleton(left_shoulder=(4, 4), left_elbow=(4, 30))] * 3)
    values = np.concatenate([depths(left_shoulder=depth, left_elbow=depth) for depth in (1.0, 4.0, 2.5)])
    drawn = draw_structured_depth(values, frames, (40, 40))
    assert [set(np.unique(frame)) for frame in drawn] == [{0, 255}, {0, 1}, {0, 128}]
    alone = draw_structured_depth(values[1:2], frames[:1], (40, 40))
    assert set(np.unique(alone)) == {0, 255}


@given(first=st.floats(1, 9, width=32), second=st.floats(1, 9, width=32))
def test_the_nearer_limb_covers_the_farther(first: float, second: float) -> None:
    """Two limbs that cross, one depth each, and a third that sets the range."""
    keypoints = skeleton(
        left_shoulder=(5, 20), left_elbow=(35, 20), right_hip=(20, 5), right_knee=(20, 35), nose=(2, 2), left_eye=(4, 2)
    )
    values = depths(left_shoulder=first, left_elbow=first, right_hip=second, right_knee=second, nose=0, left_eye=10)
    drawn = draw_structured_depth(values, keypoints, (40, 40))[0]
    level = 255 - min(first, second) * 25.4
    assert drawn[20, 20] == pytest.approx(level, abs=0.51)


def test_an_unknown_end_has_the_depth_of_the_other() -> None:
    keypoints = skeleton(left_shoulder=(4, 20), left_elbow=(30, 20), left_wrist=(30, 34))
    drawn = draw_structured_depth(depths(left_shoulder=2.0), keypoints, (40, 40))[0]
    assert (drawn[20, 4:31] == 255).all()
    assert drawn[30, 30] == 0  # the forearm has no known end
    assert not draw_structured_depth(depths(), keypoints, (40, 40)).any()


def test_it_covers_the_skeleton_that_prepare_draws() -> None:
    spec = sample_spec(4, size_px=(128, 96), num_shots=1, duration_seconds=1.0)
    frames = list(render(spec, 4.0, 4))
    keypoints = np.stack([frame.keypoints for frame in frames])
    keypoints[..., 2] /= 2
    depth = np.stack([frame.depth for frame in frames])
    found = joint_depths(depth, keypoints)
    drawn = draw_structured_depth(found, keypoints, (128, 96)) > 0
    skeletons = skeleton_masks(keypoints, (128, 96), line_width_share=LINE_WIDTH_SHARE)
    assert (drawn & skeletons).sum() > 0.97 * skeletons.sum()
    assert (drawn & ~skeletons).sum() < 0.03 * skeletons.sum()


def test_limbs_beyond_the_frame_are_clipped() -> None:
    keypoints = skeleton(left_shoulder=(20, 20), left_elbow=(1e9, 20))
    drawn = draw_structured_depth(depths(left_shoulder=2.0), keypoints, (40, 40))[0]
    assert (drawn[20, 20:] == 255).all()


def test_points_at_no_place_are_refused() -> None:
    with pytest.raises(ValueError, match="finite coordinates"):
        draw_structured_depth(depths(), skeleton(left_shoulder=(np.nan, 2)), (40, 40))
