import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.compositing.scene import agnostic_area, resized, resized_frames
from models.masks.agnostic import agnostic_masks
from models.masks.boxes import bounding_boxes
from models.pose.placement import Placement

scales, shifts = st.floats(0.5, 2), st.floats(-12, 12)


@settings(max_examples=60)
@given(st.integers(2, 10), st.integers(2, 14), st.integers(3, 10), st.integers(3, 10), scales, shifts, shifts)
def test_the_area_covers_the_character_and_where_it_goes(
    y0: int, x0: int, height: int, width: int, scale: float, dx: float, dy: float
) -> None:
    mask = np.zeros((1, 24, 32), bool)
    mask[0, y0 : y0 + height, x0 : x0 + width] = True
    area = agnostic_area(mask, Placement(scale=scale, offset_px=(dx, dy)))[0]
    assert (area >= agnostic_masks(mask)[0]).all()
    # Where a pixel comes from: the middle of the lower edge stands still but for the offset.
    foot_y, foot_x = y0 + height - 1, x0 + (width - 1) / 2
    from_y, from_x = (np.arange(24) - dy - foot_y) / scale + foot_y, (np.arange(32) - dx - foot_x) / scale + foot_x
    inside_y = (from_y >= y0 + 0.1) & (from_y <= y0 + height - 1.1)
    inside_x = (from_x >= x0 + 0.1) & (from_x <= x0 + width - 1.1)
    assert area[np.ix_(inside_y, inside_x)].all()


def test_an_unmoved_character_has_the_papers_mask_and_a_moved_one_a_second() -> None:
    mask = np.zeros((1, 40, 60), bool)
    mask[0, 10:30, 10:20] = True
    np.testing.assert_array_equal(agnostic_area(mask), agnostic_masks(mask))
    beside = agnostic_area(mask, Placement(offset_px=(25, -5)))
    np.testing.assert_array_equal(beside, mask | np.roll(mask, (-5, 25), (1, 2)))
    grown = agnostic_area(mask, Placement(scale=1.5))
    x0, y0, x1, y1 = bounding_boxes(grown)[0]
    assert y1 in (30, 31)
    assert (x0 + x1) / 2 == 15
    assert abs((y1 - y0) - 30) <= 2


def test_frames_change_their_size_only_if_they_must() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2, 20, 30, 3), dtype=np.uint8)
    assert resized(frames[0], (20, 30)).base is frames
    assert resized_frames(frames, (10, 15)).shape == (2, 10, 15, 3)
    grey = np.full((8, 8, 3), 77, np.uint8)
    assert (resized(grey, (19, 5)) == 77).all()
