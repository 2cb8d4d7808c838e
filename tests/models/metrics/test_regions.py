from __future__ import annotations

import numpy as np
import pytest

from models.metrics.regions import fill_outside


def test_pixels_outside_the_mask_are_mid_grey() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    before = frames.copy()
    mask = np.zeros((2, 3, 4), bool)
    mask[1, 1:, 2:] = True
    filled = fill_outside(frames, mask)
    assert filled.dtype == np.uint8
    np.testing.assert_array_equal(filled[mask], frames[mask])
    assert (filled[~mask] == 127).all()
    np.testing.assert_array_equal(frames, before)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a mask \(2, 3, 5\) does not fit frames \(2, 3, 4, 3\)"):
        fill_outside(np.zeros((2, 3, 4, 3), np.uint8), np.ones((2, 3, 5), bool))
