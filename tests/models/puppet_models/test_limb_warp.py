from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.metrics.pixels import clip_psnr
from models.pose.skeleton import INDEX
from models.puppet_models.limb_warp import LimbWarp
from models.puppets import render
from models.puppets.pairs import sample_pair

Keypoints = NDArray[np.float32]
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def dance() -> tuple[Picture, Keypoints]:
    """16 frames and the keypoints of a human."""
    pair = sample_pair(0, body="human", size_px=(128, 128), duration_seconds=2.0)
    frames = list(render(pair.target, 8.0, 16))
    return np.stack([frame.rgb for frame in frames]), np.stack([frame.keypoints for frame in frames])


def test_in_its_own_pose_a_picture_is_what_it_was(dance: tuple[Picture, Keypoints]) -> None:
    frames, keypoints = dance
    for picture, pose in zip(frames[::5], keypoints[::5], strict=True):
        warped = LimbWarp(picture, pose)(pose[None])[0]
        assert abs(warped.astype(int) - picture).max() <= 2


def test_a_dance_is_nearer_to_the_truth_than_the_reference_repeated(dance: tuple[Picture, Keypoints]) -> None:
    frames, keypoints = dance
    warped = LimbWarp(frames[0], keypoints[0])(keypoints[1:])
    repeated = np.repeat(frames[:1], len(frames) - 1, axis=0)
    assert clip_psnr(warped, frames[1:]) > clip_psnr(repeated, frames[1:]) + 3


@given(dx=st.integers(-40, 40), dy=st.integers(-40, 40))
def test_a_limb_that_moves_takes_its_pixels_along_and_leaves_what_is_around_it(dx: int, dy: int) -> None:
    picture = np.full((160, 160, 3), 200, np.uint8)
    picture[60:100, 78:83] = (250, 20, 40)
    keypoints = np.zeros((133, 3), np.float32)
    keypoints[INDEX["left_elbow"]] = (80, 60, 1)
    keypoints[INDEX["left_wrist"]] = (80, 99, 1)
    pose = keypoints.copy()
    pose[pose[:, 2] > 0, :2] += (dx, dy)
    expected = np.full_like(picture, 200)
    expected[60 + dy : 100 + dy, 78 + dx : 83 + dx] = (250, 20, 40)
    # How wide a strip is depends on the size of the character: the limb's middle line is in it.
    warped = LimbWarp(picture, keypoints)(pose[None])[0]
    middle = (slice(60 + dy, 100 + dy), 80 + dx)
    np.testing.assert_array_equal(warped[middle], expected[middle])


def test_parts_stay_where_the_pose_does_not_know_them(dance: tuple[Picture, Keypoints]) -> None:
    frames, keypoints = dance
    nobody = np.zeros_like(keypoints)
    np.testing.assert_array_equal(LimbWarp(frames[0], nobody[0])(keypoints)[3], frames[0])
    warp = LimbWarp(frames[0], keypoints[0])
    np.testing.assert_array_equal(warp(nobody[:1]), warp(keypoints[:1]))
    raised = keypoints[:1].copy()
    raised[0, INDEX["left_wrist"], :2] -= (0, 30)
    moved = (warp(raised)[0] != warp(keypoints[:1])[0]).any(-1)
    x, y = keypoints[0, INDEX["left_wrist"], :2].astype(int)
    assert moved[y, x]
    raised[0, INDEX["left_wrist"], 2] = 0
    np.testing.assert_array_equal(warp(raised), warp(keypoints[:1]))


@given(
    numbers=st.lists(st.floats(-1e4, 1e4, width=32), min_size=20, max_size=20),
    seed=st.integers(0, 99),
    seen=st.booleans(),
)
def test_any_skeleton_gives_pictures_of_the_same_size(numbers: list[float], seed: int, seen: bool) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)
    keypoints = np.ones((3, 133, 3), np.float32)
    keypoints[..., :2] = rng.choice(np.array(numbers, np.float32), (3, 133, 2))
    if not seen:
        keypoints[..., 2] = rng.uniform(0, 1, (3, 133))
    warped = LimbWarp(picture, keypoints[0])(keypoints[1:])
    assert (warped.shape, warped.dtype) == ((2, 24, 40, 3), np.uint8)


def test_coordinates_that_are_no_numbers_are_refused(dance: tuple[Picture, Keypoints]) -> None:
    frames, keypoints = dance
    broken = keypoints[0].copy()
    broken[INDEX["nose"], 0] = np.nan
    with pytest.raises(ValueError, match="must have finite coordinates"):
        LimbWarp(frames[0], broken)
    with pytest.raises(ValueError, match="must have finite coordinates"):
        LimbWarp(frames[0], keypoints[0])(broken[None])


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.6])
def test_a_character_of_another_size_is_drawn_onto_other_canvases(
    dance: tuple[Picture, Keypoints], scale: float
) -> None:
    frames, keypoints = dance
    pose = keypoints[:1].copy()
    pose[..., :2] = 64 + (pose[..., :2] - 64) * scale
    warp = LimbWarp(frames[0], keypoints[0])
    assert warp.scale_to(pose) == pytest.approx(scale, rel=1e-3)
    canvas = np.full((1, 128, 128, 3), 77, np.uint8)
    drawn = warp.onto(canvas, pose, scale=warp.scale_to(pose))
    assert drawn is canvas
    covered = (drawn[0] != 77).any(axis=-1)
    about_the_middle = np.array([[scale, 0, 64 - 64 * scale], [0, scale, 64 - 64 * scale]])
    expected = cv2.warpAffine(frames[0], about_the_middle, (128, 128))
    assert covered.mean() > 0.05 * scale
    assert abs(drawn[0, covered].astype(int) - expected[covered]).mean() < 8


def test_every_pixel_of_a_mask_moves_and_no_other(dance: tuple[Picture, Keypoints]) -> None:
    frames, keypoints = dance
    mask = np.zeros(frames.shape[1:3], bool)
    mask[:, 64:] = True  # far beyond the character, too
    picture = frames[0] | 1
    drawn = LimbWarp(picture, keypoints[0], mask_HW=mask).onto(np.zeros_like(frames[:1]), keypoints[:1])[0]
    shown = drawn.any(axis=-1)
    assert not shown[~mask].any()
    assert shown[mask].mean() > 0.99
    assert abs(drawn[shown].astype(int) - picture[shown]).max() <= 2
    moved = keypoints[:1] + np.float32([-20, 0, 0])
    beside = LimbWarp(picture, keypoints[0], mask_HW=mask).onto(np.zeros_like(frames[:1]), moved)[0]
    assert abs(beside[:, 44:108].astype(int) - drawn[:, 64:]).mean() < 1


def test_skeletons_without_a_common_part_leave_the_size_as_it_is(dance: tuple[Picture, Keypoints]) -> None:
    frames, keypoints = dance
    nobody = np.zeros_like(keypoints)
    warp = LimbWarp(frames[0], keypoints[0])
    assert warp.scale_to(nobody) == 1.0
    canvases = np.zeros_like(frames)
    assert not warp.onto(canvases, nobody, scale=0.5).any()
