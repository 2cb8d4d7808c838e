from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.puppets.scene.flow import blended, colour_table, coloured, noise, scrolled


def test_noise_covers_its_range_and_continues_at_the_edges() -> None:
    field = noise(3, (48, 64), (6, 8))
    assert field.shape == (48, 64)
    assert (field.min(), field.max()) == (0.0, 1.0)
    steps = np.abs(np.diff(field, axis=0)).max()
    assert np.abs(field[0] - field[-1]).max() <= 1.5 * steps
    steps = np.abs(np.diff(field, axis=1)).max()
    assert np.abs(field[:, 0] - field[:, -1]).max() <= 1.5 * steps
    np.testing.assert_array_equal(field, noise(3, (48, 64), (6, 8)))
    assert not np.array_equal(field, noise(4, (48, 64), (6, 8)))


@given(st.integers(-200, 200), st.integers(-200, 200))
def test_scrolling_by_whole_pixels_rolls(rows: int, columns: int) -> None:
    field = noise(1, (24, 32), (4, 4))
    np.testing.assert_array_equal(
        scrolled(field, float(rows), float(columns)), np.roll(field, (rows, columns), axis=(0, 1))
    )


@given(st.floats(-40.0, 40.0))
def test_scrolling_lies_between_whole_pixels(rows: float) -> None:
    field = noise(1, (24, 32), (4, 4))
    moved = scrolled(field, rows)
    around = np.stack([np.roll(field, int(np.floor(rows)) + extra, axis=0) for extra in (0, 1)])
    assert (moved >= around.min(axis=0) - 1e-6).all()
    assert (moved <= around.max(axis=0) + 1e-6).all()


def test_colours_are_interpolated_and_blended() -> None:
    table = colour_table([(0.0, (0, 0, 0)), (1.0, (255, 100, 50))])
    field = np.array([[-1.0, 0.0, 1.0, 2.0]], dtype=np.float32)
    np.testing.assert_array_equal(coloured(field, table)[0, [0, 3]], [(0, 0, 0), (255, 100, 50)])
    below, above = np.full((1, 3, 3), 40, np.uint8), np.full((1, 3, 3), 200, np.uint8)
    mixed = blended(below, above, np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    np.testing.assert_array_equal(mixed[0, :, 0], [40, 120, 200])
