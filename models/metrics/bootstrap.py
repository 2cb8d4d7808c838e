"""Uncertainty of means over animations, and a test of preferences."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_CHUNK_VALUES = 1 << 20


def present_values(values: Iterable[float | None]) -> NDArray[np.float64]:
    """Values that are neither None nor NaN, in order."""
    array = np.array([np.nan if value is None else value for value in values], np.float64)
    return array[~np.isnan(array)]


def bootstrap_interval(
    values: Iterable[float | None], *, seed: int, num_resamples: int = 1000, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean (Efron 1979), by resampling animations.

    Entries that are None or NaN are left out. None for fewer than two others, whose spread is unknown. The same values,
    in the same order, with the same seed have the same interval.

    Raises:
        ValueError: a value is infinite, `num_resamples` < 1, or `confidence` is not between 0 and 1.
    """
    if num_resamples < 1 or not 0 < confidence < 1:
        raise ValueError(f"expected num_resamples >= 1 and 0 < confidence < 1, got {num_resamples} and {confidence}")
    sample = present_values(values)
    if not np.isfinite(sample).all():
        raise ValueError("the mean of infinite values has no interval; leave them out")
    if len(sample) < 2:
        return None
    rng = np.random.default_rng(seed)
    means = np.empty(num_resamples)
    rows = max(1, _CHUNK_VALUES // len(sample))
    for first in range(0, num_resamples, rows):
        part = means[first : first + rows]
        part[:] = sample[rng.integers(0, len(sample), (len(part), len(sample)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def sign_test(wins_a: int, wins_b: int) -> float:
    """Two-sided exact p-value of the hypothesis that both are preferred equally often; ties are left out. 1 without
    wins.

    Raises:
        ValueError: a number of wins is negative.
    """
    if min(wins_a, wins_b) < 0:
        raise ValueError(f"expected numbers of wins >= 0, got {wins_a} and {wins_b}")
    count, fewer = wins_a + wins_b, min(wins_a, wins_b)
    tail = sum(math.comb(count, wins) for wins in range(fewer + 1))
    return min(2 * tail / (1 << count), 1.0)
