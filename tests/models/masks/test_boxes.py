import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from models.masks.boxes import bounding_boxes


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, max_side=12)))
def test_box_is_the_smallest_that_contains_the_mask(masks):
    for mask, (x0, y0, x1, y1) in zip(masks, bounding_boxes(masks), strict=True):
        ys, xs = np.nonzero(mask)
        want = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else (0, 0, 0, 0)
        assert (x0, y0, x1, y1) == want


def test_refuses_a_single_mask():
    with pytest.raises(ValueError, match=r"\(T, H, W\)"):
        bounding_boxes(np.zeros((4, 4), np.bool_))
