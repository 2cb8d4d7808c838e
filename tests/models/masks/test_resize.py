from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.masks.resize import covering_masks, resize_masks

masks_thw = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=12))


@given(masks_thw, st.integers(1, 4))
def test_enlarged_and_shrunk_again_is_the_mask(masks: np.ndarray, times: int) -> None:
    large = masks.repeat(times, axis=1).repeat(times, axis=2)
    small = resize_masks(large, masks.shape[1:])
    assert small.dtype == np.bool_
    assert np.array_equal(small, masks)


@given(masks_thw, st.integers(1, 30), st.integers(1, 30))
def test_empty_stays_empty_and_full_stays_full(masks: np.ndarray, height: int, width: int) -> None:
    for whole in (np.zeros_like(masks), np.ones_like(masks)):
        resized = resize_masks(whole, (height, width))
        assert resized.shape == (len(masks), height, width)
        assert (resized == whole.flat[0]).all()


def test_a_pixel_is_covered_from_half_on() -> None:
    mask = np.zeros((1, 4, 6), np.bool_)
    mask[0, :2, 0] = True  # half of the first pixel
    mask[0, 0, 2] = True  # a quarter of the second
    mask[0, 2:, 4:] = True
    mask[0, 3, 5] = False  # three quarters of the last
    assert resize_masks(mask, (2, 3)).tolist() == [[[True, False, False], [False, False, True]]]


@given(masks_thw, st.integers(1, 20), st.integers(1, 20))
def test_a_covering_mask_hides_exactly_what_the_mask_touches(masks: np.ndarray, height: int, width: int) -> None:
    count, before_y, before_x = masks.shape
    # Both on the finest common grid.
    fine = masks.repeat(height, 1).repeat(width, 2)
    blocks = fine.reshape(count, height, before_y, width, before_x)
    np.testing.assert_array_equal(covering_masks(masks, (height, width)), blocks.any(axis=(2, 4)))
