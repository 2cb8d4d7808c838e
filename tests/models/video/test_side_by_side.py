from __future__ import annotations

from itertools import repeat

import numpy as np
import pytest

from models.video.side_by_side import GAP_PX, side_by_side


def test_panels_are_placed_in_a_row_with_equal_height() -> None:
    still = np.full((16, 10, 3), 50, np.uint8)
    moving = (np.full((32, 20, 3), 100 + i, np.uint8) for i in range(3))
    rows = list(side_by_side([repeat(still, 3), moving], height_px=16))
    assert [row.shape for row in rows] == [(16, 10 + GAP_PX + 10, 3)] * 3
    assert [(row[8, 5, 0], row[8, -5, 0]) for row in rows] == [(50, 100), (50, 101), (50, 102)]


def test_an_odd_panel_becomes_even() -> None:
    (row,) = side_by_side([np.zeros((1, 33, 21, 3), np.uint8)], height_px=64)
    assert row.shape == (64, 40, 3)


@pytest.mark.parametrize(
    ("height_px", "lengths", "message"), [(15, (3, 3), "even height"), (16, (2, 3), "longer than argument 1")]
)
def test_odd_heights_and_unequal_lengths_are_refused(height_px: int, lengths: tuple[int, int], message: str) -> None:
    panels = [np.zeros((length, 16, 16, 3), np.uint8) for length in lengths]
    with pytest.raises(ValueError, match=message):
        list(side_by_side(panels, height_px=height_px))
