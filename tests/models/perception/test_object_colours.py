from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.perception.object_colours import ObjectColours, colour_bins

RED, YELLOW, BLUE, GREY = (220, 40, 40), (230, 220, 60), (40, 60, 220), (120, 120, 120)


def frame(*, x: int | None, y: int = 20, scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A red object of 12 x 12 pixels with a yellow stripe before grey, beside a blue area; and its mask."""
    picture = np.full((60, 120, 3), GREY, np.uint8)
    picture[:, 100:] = BLUE
    mask = np.zeros(picture.shape[:2], bool)
    if x is not None:
        picture[y : y + 12 * scale, x : x + 12 * scale] = RED
        picture[y : y + 4 * scale, x : x + 12 * scale] = YELLOW
        mask[y : y + 12 * scale, x : x + 12 * scale] = True
    return picture, mask


def of_object() -> ObjectColours:
    picture, mask = frame(x=30)
    return ObjectColours([colour_bins(picture)], [mask])


def test_the_object_agrees_wherever_it_is() -> None:
    colours = of_object()
    for x in (0, 60, 88):
        picture, mask = frame(x=x)
        assert colours.agreement(colour_bins(picture), mask) == pytest.approx(1, abs=0.05)


@given(columns=st.integers(1, 12))
def test_what_is_seen_of_the_object_agrees_by_its_share(columns: int) -> None:
    picture, mask = frame(x=30)
    mask[:, 30 + columns :] = False
    assert of_object().agreement(colour_bins(picture), mask) == pytest.approx(columns / 12, abs=0.05)


def test_other_pixels_count_against_a_mask() -> None:
    colours, (picture, mask) = of_object(), frame(x=30)
    bins = colour_bins(picture)
    grey = np.zeros_like(mask)
    grey[40:52, 30:42] = True
    assert colours.agreement(bins, grey) == pytest.approx(-1, abs=0.05)
    half = mask | grey
    assert colours.agreement(bins, half) == pytest.approx(0, abs=0.05)
    assert colours.agreement(bins, np.zeros_like(mask)) == 0


def test_twice_as_much_of_a_colour_is_too_much_unless_the_object_has_grown() -> None:
    colours, (picture, mask) = of_object(), frame(x=10, y=4, scale=2)
    bins = colour_bins(picture)
    assert colours.agreement(bins, mask) < 0
    assert colours.growth(mask) == pytest.approx(4, abs=0.01)
    assert colours.agreement(bins, mask, growth=colours.growth(mask)) == pytest.approx(1, abs=0.05)
    assert colours.growth(np.zeros_like(mask)) == 1


@given(x=st.integers(0, 88), y=st.integers(0, 48))
def test_the_likeliest_box_holds_the_object(x: int, y: int) -> None:
    picture, _ = frame(x=x, y=y)
    (left, top, right, bottom), *others = of_object().likely_boxes(colour_bins(picture), 3)
    assert len(others) == 2
    assert abs((left + right) / 2 - (x + 6)) <= 1.5
    assert abs((top + bottom) / 2 - (y + 6)) <= 1.5
    assert right - left == bottom - top == 13


def test_several_known_frames_are_averaged() -> None:
    known = [frame(x=x) for x in (10, 30, 50)]
    colours = ObjectColours([colour_bins(picture) for picture, _ in known], [mask for _, mask in known])
    picture, mask = frame(x=70)
    assert colours.agreement(colour_bins(picture), mask) == pytest.approx(1, abs=0.05)
