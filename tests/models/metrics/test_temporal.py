from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from models.metrics.temporal import colour_drift, flicker, quarter_drift, seam_ratio


def steps(*levels: int) -> np.ndarray:
    """A clip of uniform frames with these levels."""
    return np.tile(np.array(levels, np.uint8)[:, None, None, None], (1, 5, 7, 3))


@settings(max_examples=25, deadline=None)
@given(frames=hnp.arrays(np.uint8, (4, 3, 5, 3)))
def test_flicker_is_that_of_vbench(frames: np.ndarray) -> None:
    pairs = zip(frames[1:], frames[:-1], strict=True)
    expected = np.mean([np.mean(cv2.absdiff(a, b)) for a, b in pairs])
    assert flicker(frames) == pytest.approx(expected / 255, rel=1e-12)
    assert flicker(frames[::-1]) == pytest.approx(flicker(frames), rel=1e-12)


def test_seams_are_jumps_at_window_borders() -> None:
    even = steps(0, 10, 20, 30, 40, 50, 60, 70)
    assert seam_ratio(even, [0, 4]) == 1
    jump = steps(0, 10, 20, 30, 80, 90, 100, 110)
    assert seam_ratio(jump, [0, 4]) == 5
    assert seam_ratio(jump, [4, 4]) == 5
    assert seam_ratio(jump, [3, 5]) == pytest.approx(10 / ((4 * 10 + 50) / 5))


def test_seams_are_undefined_without_borders_or_motion() -> None:
    clip = steps(0, 10, 20)
    assert seam_ratio(clip, []) is None
    assert seam_ratio(clip, [0]) is None
    assert seam_ratio(clip, [1, 2]) is None  # every change is at a border
    assert seam_ratio(steps(5, 5, 9), [2]) is None
    assert seam_ratio(clip[:1], [0]) is None
    for border in (-1, 3):
        with pytest.raises(ValueError, match="outside a clip of 3"):
            seam_ratio(clip, [1, border])


def test_colour_drift_is_of_the_error_and_not_of_the_scene() -> None:
    truth = steps(*range(40, 120, 10))
    assert colour_drift(truth, truth) == 0
    white, black = steps(*[255] * 8), steps(*[0] * 8)
    assert colour_drift(white, black) == 0  # wrong all along, but no drift
    fading = np.concatenate([black[:2], steps(60, 60, 60, 60), white[:2]])
    assert colour_drift(fading, black) == pytest.approx(100, abs=0.01)  # from L* 0 to 100
    red = black.copy()
    red[6:, ..., 0] = 255
    expected = np.linalg.norm([53.24, 80.09, 67.20])  # CIELAB of sRGB red
    assert colour_drift(red, black) == pytest.approx(expected, abs=0.05)


def test_drift_compares_quarters() -> None:
    assert quarter_drift(np.array([5.0, 3.0, 0, 0, 0, 0, 1.0, 2.0])) == 2.5
    assert quarter_drift(np.array([5.0, 9.0, 3.0])) == 2.0


def test_one_frame_has_no_change() -> None:
    one = steps(3)
    assert flicker(one) is None
    assert colour_drift(one, one) is None
    assert quarter_drift(np.array([1.0])) is None


def test_wrong_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frames"):
        flicker(np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="compared"):
        colour_drift(steps(1, 2), steps(1, 2, 3))
