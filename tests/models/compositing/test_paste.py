import numpy as np
import pytest
from drawn_skeletons import LENGTHS_PX, dancing, skeleton
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from models.compositing.paste import FEATHER_SHARE, ROOM_SHARE, Reach, paste, paste_weight, reach_of, silhouettes
from models.pose.skeleton import FACE

SIZE = (48, 64)
boxes = st.tuples(st.integers(0, 40), st.integers(0, 56), st.integers(1, 20), st.integers(1, 20))
sizes = st.tuples(st.integers(8, 100), st.integers(8, 100))


def area_of(*given_boxes: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    area = np.zeros(SIZE, bool)
    for y, x, height, width in given_boxes:
        area[y : y + height, x : x + width] = True
    return area


def frame(size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def distances(box: tuple[int, int, int, int], rows: NDArray, columns: NDArray) -> NDArray:
    """Distance of each point of a grid to a box."""
    y, x, height, width = box
    from_y = np.maximum(np.maximum(y - rows, rows - (y + height - 1)), 0)
    from_x = np.maximum(np.maximum(x - columns, columns - (x + width - 1)), 0)
    return np.hypot(from_y[:, None], from_x[None])


@given(boxes, boxes)
def test_weight_is_full_inside_falls_outside_and_is_monotone(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    weight, more = paste_weight(area_of(one)), paste_weight(area_of(one, other))
    assert (weight[area_of(one)] == 1).all()
    assert (more >= weight).all()
    assert weight.min() >= 0
    y, x, _, width = one
    row = weight[y, min(x + width, SIZE[1]) :]
    assert (np.diff(row) <= 0).all()
    far = (ROOM_SHARE + FEATHER_SHARE) * 48 + 2
    assert not weight[distances(one, np.arange(SIZE[0]), np.arange(SIZE[1])) > far].any()


@settings(max_examples=60)
@given(boxes, sizes, st.integers(0, 99))
def test_outside_of_the_weight_the_original_is_untouched(
    box: tuple[int, int, int, int], size: tuple[int, int], seed: int
) -> None:
    area = area_of(box)
    original, generated = frame(size, seed), frame(SIZE, seed + 1)
    pasted = paste(original, generated, paste_weight(area))
    rows, columns = ((np.arange(n) + 0.5) * of / n - 0.5 for n, of in zip(size, SIZE, strict=True))
    outside = distances(box, rows, columns) > (ROOM_SHARE + FEATHER_SHARE) * 48 + 4
    np.testing.assert_array_equal(pasted[outside], original[outside])
    # A generated frame of the original's size arrives unchanged inside the area.
    same = paste(frame(SIZE, seed), generated, paste_weight(area))
    np.testing.assert_array_equal(same[area], generated[area])


def test_no_area_gives_the_original_frame() -> None:
    original = frame((30, 20), 0)
    assert paste(original, frame(SIZE, 1), paste_weight(np.zeros(SIZE, bool))) is original


@given(hnp.arrays(np.bool_, SIZE))
def test_equal_frames_stay_equal(area: NDArray[np.bool_]) -> None:
    same = frame(SIZE, 0)
    np.testing.assert_array_equal(paste(same, same, paste_weight(area)), same)


@settings(max_examples=20)
@given(st.floats(0.03, 0.2), st.floats(0.03, 0.2), st.integers(0, 100))
def test_the_reach_of_a_character_is_measured_and_covers_it_again(head: float, limbs: float, seed: int) -> None:
    keypoints = dancing(LENGTHS_PX, num_frames=1, seed=seed) + np.float32([60, 60, 0])
    (drawn,) = silhouettes(keypoints, (340, 320), Reach(head=head, limbs=limbs))
    measured = reach_of(drawn, keypoints[0])
    assert max(measured.head, measured.limbs) == pytest.approx(max(head, limbs), abs=0.03)
    (again,) = silhouettes(keypoints, (340, 320), measured)
    assert again[drawn].mean() > 0.985
    (wider,) = silhouettes(keypoints, (340, 320), Reach(head=head + 0.05, limbs=limbs + 0.05))
    assert (wider >= drawn).all()
    assert wider.sum() > drawn.sum()


def test_a_hat_widens_the_head_alone() -> None:
    keypoints = skeleton(LENGTHS_PX, np.zeros(20), (160, 140))[None]
    keypoints[:, FACE] = 0
    (bare,) = silhouettes(keypoints, (340, 320), Reach(head=0.1, limbs=0.05))
    x, y = keypoints[0, 0, :2].astype(int)
    hat = bare.copy()
    hat[y - 70 : y, x - 15 : x + 15] = True
    with_hat, without = reach_of(hat, keypoints[0]), reach_of(bare, keypoints[0])
    assert with_hat.head > 1.2 * without.head
    assert with_hat.limbs == pytest.approx(without.limbs, abs=0.01)


def test_a_frame_without_a_skeleton_has_no_silhouette() -> None:
    keypoints, reach = dancing(LENGTHS_PX, num_frames=2), Reach(head=0.1, limbs=0.1)
    keypoints[1] = 0
    areas = silhouettes(keypoints, (240, 240), reach)
    assert areas[0].any()
    assert not areas[1].any()
    assert not silhouettes(np.zeros_like(keypoints), (240, 240), reach).any()


def test_the_reach_needs_a_character() -> None:
    keypoints = dancing(LENGTHS_PX, num_frames=1)[0]
    with pytest.raises(ValueError, match="expected a character, got 0 pixels"):
        reach_of(np.zeros((240, 240), bool), keypoints)
    with pytest.raises(ValueError, match="a skeleton of 0 px"):
        reach_of(np.ones((240, 240), bool), np.zeros_like(keypoints))


@given(boxes, boxes)
def test_objects_have_no_weight(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> None:
    objects = area_of(other)
    without, weight = paste_weight(area_of(one)), paste_weight(area_of(one), objects)
    assert not weight[objects].any()
    np.testing.assert_array_equal(weight[~objects], without[~objects])
