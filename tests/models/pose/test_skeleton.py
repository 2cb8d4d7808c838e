from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.pose import skeleton
from models.pose.skeleton import INDEX, KEYPOINT_NAMES, LIMBS, MIRROR, mirror_keypoints, scale_keypoints


def test_names_follow_coco_wholebody() -> None:
    assert len(KEYPOINT_NAMES) == len(set(KEYPOINT_NAMES)) == skeleton.NUM_KEYPOINTS == 133
    assert KEYPOINT_NAMES[:5] == ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    assert INDEX["left_wrist"] == 9
    assert INDEX["right_ankle"] == 16
    assert KEYPOINT_NAMES[17:23] == (
        "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")  # fmt: skip
    assert INDEX["left_hand_wrist"] == 91
    assert INDEX["left_pinky_4"] == 111
    assert INDEX["right_thumb_1"] == 113


def test_groups_cover_every_keypoint_once() -> None:
    covered = [index for group in skeleton.GROUPS.values() for index in range(133)[group]]
    assert sorted(covered) == list(range(133))
    assert [len(range(133)[group]) for group in skeleton.GROUPS.values()] == [17, 6, 68, 21, 21]


def test_mirror_exchanges_left_and_right() -> None:
    for name in KEYPOINT_NAMES:
        other = KEYPOINT_NAMES[MIRROR[INDEX[name]]]
        if name.startswith("left_"):
            assert other == "right_" + name.removeprefix("left_")
        elif name.startswith("right_"):
            assert other == "left_" + name.removeprefix("right_")
        elif name == "nose":
            assert other == "nose"


def test_mirror_of_the_face_matches_its_landmarks() -> None:
    first = skeleton.FACE.start
    pairs = {
        0: 16,
        8: 8,
        17: 26,
        27: 27,
        31: 35,
        36: 45,
        39: 42,
        41: 46,
        48: 54,
        51: 51,
        57: 57,
        59: 55,
        60: 64,
        66: 66,
    }
    for a, b in pairs.items():
        assert MIRROR[first + a] == first + b
        assert MIRROR[first + b] == first + a


@given(arrays(np.float32, (2, 133, 3), elements=st.floats(-500, 500, width=32)), st.integers(1, 1000))
def test_mirroring_twice_is_the_identity(keypoints: np.ndarray, width: int) -> None:
    twice = mirror_keypoints(mirror_keypoints(keypoints, width_px=width), width_px=width)
    np.testing.assert_allclose(twice, keypoints, atol=1e-3)


def test_limbs_stay_on_one_side() -> None:
    for name, (a, b) in LIMBS.items():
        side = name.partition("_")[0]
        if side in {"left", "right"}:
            assert KEYPOINT_NAMES[a].startswith(side)
            assert KEYPOINT_NAMES[b].startswith(side)
    assert len(skeleton.LEFT_HAND_LIMBS) == len(skeleton.RIGHT_HAND_LIMBS) == 20
    assert {index for limb in skeleton.LEFT_HAND_LIMBS for index in limb} == set(range(91, 112))


SIZES_PX = st.tuples(st.integers(1, 4000), st.integers(1, 4000))


@given(arrays(np.float64, (2, 5, 3), elements=st.floats(-100, 4000)), SIZES_PX, SIZES_PX)
def test_scaling_keeps_positions_relative_to_the_image_edges(
    keypoints: np.ndarray, from_size_px: tuple[int, int], to_size_px: tuple[int, int]
) -> None:
    before = keypoints.copy()
    scaled = scale_keypoints(keypoints, from_size_px, to_size_px)
    for axis, (source_px, target_px) in enumerate(zip(from_size_px[::-1], to_size_px[::-1], strict=True)):
        relative = (keypoints[..., axis] + 0.5) / source_px  # pixel centres are integers: the edge is at -0.5
        np.testing.assert_allclose((scaled[..., axis] + 0.5) / target_px, relative, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(scaled[..., 2], keypoints[..., 2])
    np.testing.assert_array_equal(keypoints, before)
    np.testing.assert_allclose(scale_keypoints(scaled, to_size_px, from_size_px), keypoints, rtol=1e-6, atol=1e-6)


def test_scaling_keeps_the_dtype_and_the_corner_pixels() -> None:
    corners = np.array([[0, 0], [5, 3]], np.float32)  # of an image of 4 x 6 pixels
    scaled = scale_keypoints(corners, (4, 6), (8, 12))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, [[0.5, 0.5], [10.5, 6.5]])
