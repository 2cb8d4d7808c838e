from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.perception.letterbox import FILL, Letterbox

sizes = st.integers(1, 400)


@given(width=sizes, height=sizes, side=st.sampled_from([32, 96, 192]), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_points_round_trip(width: int, height: int, side: int, seed: int) -> None:
    letterbox = Letterbox.of_frame(width_px=width, height_px=height, side_px=side)
    points = np.random.default_rng(seed).uniform(-0.5, [width - 0.5, height - 0.5], (20, 2)).astype(np.float32)
    square = letterbox.points_to_square(points)
    left, top, right, bottom = letterbox.inner
    assert (square >= np.array([left, top]) - 0.51).all()
    assert (square <= np.array([right, bottom]) - 0.49).all()
    np.testing.assert_allclose(letterbox.points_to_image(square), points, atol=0.05)


@given(width=sizes, height=sizes, side=st.sampled_from([32, 96, 192]))
@settings(max_examples=60, deadline=None)
def test_shape_padding_and_inverse(width: int, height: int, side: int) -> None:
    letterbox = Letterbox.of_frame(width_px=width, height_px=height, side_px=side)
    square = letterbox.cut(np.zeros((height, width, 3), np.uint8))
    left, top, right, bottom = letterbox.inner
    assert square.shape == (side, side, 3)
    assert not square[top:bottom, left:right].any()
    square[top:bottom, left:right] = FILL
    assert (square == FILL).all()
    assert max(right - left, bottom - top) == side
    assert letterbox.map_to_region(np.ones((side, side), np.float32)).shape == (height, width)


def test_a_dot_is_at_the_converted_point() -> None:
    image = np.zeros((300, 500, 3), np.uint8)
    cv2.circle(image, (400, 60), 12, (255, 255, 255), -1)
    letterbox = Letterbox.of_frame(width_px=500, height_px=300, side_px=192)
    left, top, right, bottom = letterbox.inner
    weights = letterbox.cut(image)[top:bottom, left:right, 0].astype(np.float64)
    ys, xs = np.mgrid[top:bottom, left:right]
    middle = np.array([(xs * weights).sum(), (ys * weights).sum()], np.float32) / weights.sum()
    np.testing.assert_allclose(letterbox.points_to_image(middle), [400, 60], atol=0.3)


@given(
    box=st.tuples(*[st.floats(-50, 250)] * 4),
    room=st.floats(1, 4),
)
@settings(max_examples=100, deadline=None)
def test_region_around_a_box_stays_in_the_image(box: tuple[float, float, float, float], room: float) -> None:
    x0, y0, x1, y1 = min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])
    assume(0 < x0 + x1 < 400)
    assume(0 < y0 + y1 < 240)
    letterbox = Letterbox.around((x0, y0, x1, y1), width_px=200, height_px=120, side_px=64, room=room)
    assert 0 <= letterbox.x0 < letterbox.x1 <= 200
    assert 0 <= letterbox.y0 < letterbox.y1 <= 120
    assert letterbox.cut(np.zeros((120, 200, 3), np.uint8)).shape == (64, 64, 3)


def test_region_outside_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the 200 x 120 image"):
        Letterbox.around((300, 10, 320, 20), width_px=200, height_px=120, side_px=64, room=2)
