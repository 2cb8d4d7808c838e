import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pose.overlay import draw_skeleton, rasterise_skeleton
from models.pose.skeleton import INDEX


def one_limb(start, end, score=1.0):
    keypoints = np.zeros((133, 3), np.float32)
    keypoints[INDEX["left_elbow"]] = (*start, score)
    keypoints[INDEX["left_wrist"]] = (*end, score)
    return keypoints


def distance_to_segment(size, start, end):
    y, x = np.mgrid[: size[0], : size[1]]
    start, end = np.array(start, float), np.array(end, float)
    along = end - start
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(along @ along, 1e-9)
    share = share.clip(0, 1)
    return np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])


points = st.tuples(st.floats(8, 55), st.floats(8, 39))


@given(points, points, st.integers(1, 9))
def test_rasterised_limb_covers_its_width_and_no_more(start, end, width):
    mask = rasterise_skeleton(one_limb(start, end), (48, 64), line_width_px=width)
    distance = distance_to_segment((48, 64), np.float32(start), np.float32(end))
    assert mask[distance <= width / 2 - 1].all()
    assert not mask[distance > width / 2 + 1.5].any()
    assert mask.any()


def test_keypoints_below_the_minimum_score_are_omitted():
    keypoints = one_limb((10, 10), (30, 30), score=0.2)
    assert not rasterise_skeleton(keypoints, (48, 64), line_width_px=4).any()
    image = np.full((48, 64, 3), 90, np.uint8)
    assert np.array_equal(draw_skeleton(image, keypoints), image)


def test_limb_that_leaves_the_picture_keeps_its_direction():
    inside = rasterise_skeleton(one_limb((10, 10), (60, 35)), (48, 64), line_width_px=3)
    outside = rasterise_skeleton(one_limb((10, 10), (10 + 50 * 99, 10 + 25 * 99)), (48, 64), line_width_px=3)
    assert (outside >= inside)[:, :58].all()
    rasterise_skeleton(one_limb((-1e30, 5), (1e30, 5)), (48, 64), line_width_px=3)


def test_drawing_copies_the_image_and_changes_only_the_limb():
    image = np.full((48, 64, 3), 90, np.uint8)
    drawn = draw_skeleton(image, one_limb((10, 10), (50, 30)), line_width_px=3)
    assert (image == 90).all()
    changed = (drawn != image).any(axis=2)
    distance = distance_to_segment((48, 64), (10, 10), (50, 30))
    assert changed[distance <= 1].all()
    assert not changed[distance > 6].any()


def test_left_and_right_differ_in_colour():
    image = np.zeros((48, 64, 3), np.uint8)
    left = one_limb((10, 24), (50, 24))
    right = np.zeros_like(left)
    right[INDEX["right_elbow"]], right[INDEX["right_wrist"]] = left[INDEX["left_elbow"]], left[INDEX["left_wrist"]]
    warm, cool = (draw_skeleton(image, keypoints, line_width_px=3)[24, 30].astype(int) for keypoints in (left, right))
    assert warm[0] > warm[2]
    assert cool[2] > cool[0]


def test_refuses_other_layouts_and_non_finite_points():
    with pytest.raises(ValueError, match=r"must be \(133, 3\), got \(18, 3\)"):
        rasterise_skeleton(np.zeros((18, 3), np.float32), (8, 8), line_width_px=1)
    with pytest.raises(ValueError, match="finite"):
        rasterise_skeleton(one_limb((np.nan, 1), (2, 2)), (8, 8), line_width_px=1)
