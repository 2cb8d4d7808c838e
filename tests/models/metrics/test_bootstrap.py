from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import bootstrap
from models.metrics.bootstrap import bootstrap_interval, present_values, sign_test


def test_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(3.0, 60)
    low, high = bootstrap_interval(values, seed=1, num_resamples=20000)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=0.02)


def test_interval_covers_the_mean_at_its_confidence() -> None:
    rng = np.random.default_rng(3)
    covered = [low <= 0 <= high for low, high in (bootstrap_interval(rng.normal(size=50), seed=i) for i in range(200))]
    assert 0.89 <= np.mean(covered) <= 0.98


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30),
    seed=st.integers(0, 2**32),
    shift=st.floats(-100, 100),
)
def test_interval_lies_within_the_values(values: list[float], seed: int, shift: float) -> None:
    low, high = bootstrap_interval(values, seed=seed, num_resamples=50)
    rounding = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - rounding <= low <= high <= max(values) + rounding
    assert bootstrap_interval(values, seed=seed, num_resamples=50) == (low, high)
    moved = bootstrap_interval([value + shift for value in values], seed=seed, num_resamples=50)
    assert moved == pytest.approx((low + shift, high + shift), abs=1e3 * rounding)


def test_interval_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).normal(size=40)
    whole = bootstrap_interval(values, seed=5)
    monkeypatch.setattr(bootstrap, "_CHUNK_VALUES", 100)
    assert bootstrap_interval(values, seed=5) == whole


def test_missing_values_are_left_out() -> None:
    assert present_values([1.0, None, math.nan, 2.0]).tolist() == [1, 2]
    assert bootstrap_interval([1.0, None, math.nan, 2.0], seed=0) == bootstrap_interval([1.0, 2.0], seed=0)
    assert bootstrap_interval([3.0, None], seed=0) is None
    assert bootstrap_interval([], seed=0) is None
    assert bootstrap_interval([3.0, 3.0], seed=0) == (3, 3)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        bootstrap_interval([1.0, math.inf], seed=0)
    for wrong in ({"num_resamples": 0}, {"confidence": 0.0}, {"confidence": 1.0}):
        with pytest.raises(ValueError, match="expected num_resamples"):
            bootstrap_interval([1.0, 2.0], seed=0, **wrong)
    with pytest.raises(ValueError, match="wins"):
        sign_test(-1, 2)


@settings(max_examples=50, deadline=None)
@given(a=st.integers(0, 300), b=st.integers(0, 300))
def test_sign_test_is_the_binomial_test(a: int, b: int) -> None:
    expected = scipy.stats.binomtest(a, a + b).pvalue if a + b else 1.0
    assert sign_test(a, b) == pytest.approx(expected, rel=1e-9)
    assert sign_test(a, b) == sign_test(b, a)
