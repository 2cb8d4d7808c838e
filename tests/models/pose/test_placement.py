import numpy as np
import pytest
from drawn_skeletons import LENGTHS_PX, dancing, proportions
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.pose.placement import Placement, place
from models.pose.proportions import MID_HIP, with_centres
from models.pose.retarget import retarget
from models.pose.skeleton import BODY, FEET, INDEX

SIZES = {"driving_size_px": (240, 160), "reference_size_px": (480, 320)}
STANDING = slice(BODY.start, FEET.stop)
FEET_POINTS = [INDEX["left_ankle"], INDEX["right_ankle"], *range(FEET.start, FEET.stop)]
shifts = st.floats(-60, 60)


def hidden(keypoints: NDArray, points: object, frames: object = slice(None)) -> NDArray:
    out = keypoints.copy()
    for t in np.arange(len(out))[frames]:
        out[t, points] = 0
    return out


def lowest(keypoints: NDArray) -> NDArray:
    return np.where(keypoints[:, STANDING, 2] > 0, keypoints[:, STANDING, 1], -np.inf).max(axis=1)


def hips_x(keypoints: NDArray) -> NDArray:
    return with_centres(keypoints, 0.3)[0][:, MID_HIP, 0]


@settings(max_examples=40)
@given(proportions, proportions, st.floats(0.3, 3), shifts, shifts, st.integers(0, 1000))
def test_the_character_stands_where_the_driver_stands(
    driver: dict[str, float], character: dict[str, float], scale: float, dx: float, dy: float, seed: int
) -> None:
    driving, reference = dancing(driver, seed=seed), dancing(character, num_frames=1, seed=seed + 1)[0]
    moved = retarget(driving, reference, **SIZES).keypoints
    placed = place(moved, driving, Placement(scale=scale, offset_px=(dx, dy)))
    assert placed.rule == "feet"
    np.testing.assert_allclose(lowest(placed.keypoints), lowest(driving) + dy, atol=0.01)
    np.testing.assert_allclose(hips_x(placed.keypoints), hips_x(driving) + dx, atol=0.01)
    # Each frame is the retargeted skeleton, scaled by one factor and shifted.
    for after, before in zip(placed.keypoints[..., :2], moved[..., :2], strict=True):
        np.testing.assert_allclose(after - after[0], placed.scale * (before - before[0]), atol=0.02)


@settings(max_examples=30)
@given(st.floats(0.3, 3), st.floats(0.2, 5), shifts, shifts, st.integers(0, 1000))
def test_size_and_place_of_the_retargeted_skeleton_do_not_matter(
    scale: float, zoom: float, dx: float, dy: float, seed: int
) -> None:
    driving = dancing(LENGTHS_PX, seed=seed)
    moved = driving * np.float32([zoom, zoom, 1]) + np.float32([dx, dy, 0])
    placed = place(moved, driving, Placement(scale=scale))
    assert placed.scale == pytest.approx(scale / zoom, rel=1e-3)
    np.testing.assert_allclose(place(moved, driving).keypoints, driving, atol=0.05)


@settings(max_examples=30)
@given(proportions, proportions, st.floats(0.5, 2), shifts, st.integers(0, 1000))
def test_who_sits_keeps_the_height_of_the_hips(
    driver: dict[str, float], character: dict[str, float], scale: float, dy: float, seed: int
) -> None:
    driving, reference = dancing(driver, seed=seed), dancing(character, num_frames=1, seed=seed + 1)[0]
    moved = retarget(driving, reference, **SIZES).keypoints
    placement = Placement(scale=scale, offset_px=(0, dy))
    standing = place(moved, driving, placement).keypoints
    degrees = np.linspace(0, 1, len(driving))
    placed = place(moved, driving, placement, seated_T=degrees)
    assert placed.rule == "seat"
    hips, wanted, before = (with_centres(each, 0.3)[0][:, MID_HIP, 1] for each in (placed.keypoints, driving, standing))
    np.testing.assert_allclose(hips, degrees * (wanted + dy) + (1 - degrees) * before, atol=0.02)
    np.testing.assert_allclose(placed.keypoints[..., 0], standing[..., 0], atol=0.01)
    never = place(moved, driving, placement, seated_T=np.zeros(len(driving)))
    assert never.rule == "feet"
    np.testing.assert_array_equal(never.keypoints, standing)


def test_frames_without_feet_take_the_shift_of_their_neighbours() -> None:
    driving = dancing({**LENGTHS_PX, "thighs": 60.0}, num_frames=5)
    moved = retarget(driving, dancing(LENGTHS_PX, num_frames=1)[0], **SIZES).keypoints
    placed = place(hidden(moved, FEET_POINTS, slice(2, 3)), hidden(driving, FEET_POINTS, slice(2, 3)))
    assert placed.rule == "feet"
    nose = INDEX["nose"]
    shift = placed.keypoints[:, nose, 1] - moved[:, nose, 1] * placed.scale
    assert shift[2] == pytest.approx((shift[1] + shift[3]) / 2, abs=0.01)
    assert np.ptp(shift) > 1
    assert not placed.keypoints[2, FEET_POINTS].any()


def test_without_any_foot_one_shift_applies_to_all_frames() -> None:
    driving = hidden(dancing(LENGTHS_PX), FEET_POINTS)
    moved = driving * np.float32([2, 2, 1])
    placed = place(moved, driving, Placement(offset_px=(3, 4)))
    assert placed.rule == "body"
    visible = driving[..., 2] > 0
    expected = np.where(visible[..., None], driving + np.float32([3, 4, 0]), 0)
    np.testing.assert_allclose(placed.keypoints, expected, atol=0.05)


def test_faces_alone_are_placed_too() -> None:
    driving = hidden(dancing(LENGTHS_PX), STANDING)
    placed = place(driving * np.float32([2, 2, 1]), driving)
    assert placed.rule == "body"
    assert np.isfinite(placed.keypoints).all()
    nobody = np.zeros_like(driving)
    assert not place(nobody, nobody).keypoints.any()


def test_rejects_what_cannot_be_placed() -> None:
    with pytest.raises(ValueError, match="scale must be above 0, got 0"):
        Placement(scale=0.0)
    with pytest.raises(ValueError, match="alike"):
        place(dancing(LENGTHS_PX), dancing(LENGTHS_PX, num_frames=2))
    with pytest.raises(ValueError, match=r"expected seated_T of 2 frames, got the shape \(3,\)"):
        place(*[dancing(LENGTHS_PX, num_frames=2)] * 2, seated_T=np.zeros(3))
