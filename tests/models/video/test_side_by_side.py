from __future__ import annotations

import numpy as np
import pytest

from models.video.side_by_side import GAP_PX, side_by_side


def test_panels_stand_in_a_row_at_one_height_and_a_still_one_stays() -> None:
    still = np.full((1, 16, 10, 3), 50, np.uint8)
    moving = np.stack([np.full((32, 20, 3), 100 + i, np.uint8) for i in range(3)])
    rows = list(side_by_side([still, moving], height_px=16))
    assert [row.shape for row in rows] == [(16, 10 + GAP_PX + 10, 3)] * 3
    assert [(row[8, 5, 0], row[8, -5, 0]) for row in rows] == [(50, 100), (50, 101), (50, 102)]


def test_an_odd_panel_becomes_even() -> None:
    (row,) = side_by_side([np.zeros((1, 33, 21, 3), np.uint8)], height_px=64)
    assert row.shape == (64, 40, 3)


@pytest.mark.parametrize(("height_px", "lengths"), [(15, (1, 3)), (16, (2, 3))])
def test_what_does_not_fit_is_refused(height_px: int, lengths: tuple[int, int]) -> None:
    panels = [np.zeros((length, 16, 16, 3), np.uint8) for length in lengths]
    with pytest.raises(ValueError, match="expected an even height and panels of 1 or 3 frames"):
        list(side_by_side(panels, height_px=height_px))
