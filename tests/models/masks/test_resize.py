import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from models.masks.resize import covering_masks

masks = hnp.arrays(np.bool_, st.just((2, 24, 32)))
sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))


@settings(max_examples=60)
@given(masks, sizes)
def test_a_covering_mask_hides_exactly_what_the_mask_touches(mask: NDArray[np.bool_], size: tuple[int, int]) -> None:
    covered = covering_masks(mask, size)
    # Both on the finest common grid.
    fine = mask.repeat(size[0], 1).repeat(size[1], 2)
    blocks = fine.reshape(2, size[0], 24, size[1], 32)
    np.testing.assert_array_equal(covered, blocks.any(axis=(2, 4)))


@given(masks)
def test_the_same_size_changes_nothing(mask: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(covering_masks(mask, (24, 32)), mask)
