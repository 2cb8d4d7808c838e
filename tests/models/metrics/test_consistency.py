from __future__ import annotations

import numpy as np
import pytest
from golden_networks import network_case
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.metrics.consistency import consistency, cosines, identity_drift

ANGLES = np.deg2rad([0, 90, 60, 180])


def directions(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def test_consistency_is_that_of_vbench() -> None:
    outputs = network_case().outputs()
    features = outputs["consistency.features"].numpy()
    assert consistency(features) == pytest.approx(outputs["consistency.value"].item(), abs=1e-6)


def test_negative_cosines_count_as_zero() -> None:
    # With the first frame: 0, 0.5, -1. With the frame before: 0, cos 30°, -0.5.
    expected = (0.5 + np.cos(np.deg2rad(30))) / 2 / 3
    assert consistency(directions(ANGLES)) == pytest.approx(expected, abs=1e-6)


@given(arrays(np.float32, (5, 3), elements=st.floats(-10, 10, width=32)), st.floats(0.125, 8))
def test_consistency_is_a_share_that_ignores_lengths(features: np.ndarray, scale: float) -> None:
    value = consistency(features)
    assert value is not None
    assert 0 <= value <= 1
    assert consistency((features * np.float32(scale)).astype(np.float32)) == pytest.approx(value, abs=1e-5)


def test_a_still_clip_is_consistent_and_one_frame_is_neither() -> None:
    assert consistency(np.ones((6, 4), np.float32)) == pytest.approx(1)
    assert consistency(np.ones((1, 4), np.float32)) is None


def test_identity_drifts_by_the_cosines_lost() -> None:
    truth = directions(np.zeros(8))
    animation = directions(np.deg2rad([0, 0, 0, 0, 0, 0, 60, 60]))
    assert identity_drift(animation, truth) == pytest.approx(0.5, abs=1e-6)
    assert identity_drift(truth, truth) == pytest.approx(0)
    # The animation changes with its truth.
    assert identity_drift(animation, animation) == pytest.approx(0, abs=1e-6)


def test_vectors_of_other_shapes_are_refused() -> None:
    assert cosines(np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)).tolist() == [0, 0]
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(3, 3\)"):
        cosines(np.zeros((2, 3), np.float32), np.zeros((3, 3), np.float32))
    with pytest.raises(ValueError, match="features must be finite"):
        consistency(np.array([[1, 2], [np.nan, 1]], np.float32))
