from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import golden_weights
import numpy as np
import pytest
import scipy.linalg
import torch
from golden import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchmetrics.image.fid import FrechetInceptionDistance

from models.metrics.frechet import FrechetStatistics, frechet_distance

Features = NDArray[np.float64]

CASES = json.loads((GOLDEN / "metrics" / "case.json").read_text())["frechet"]


def golden_features(case: dict[str, Any]) -> tuple[Features, Features]:
    """The two sets of features, as `frechet_features` of the case describes them."""
    size, seeds = case["dim"], case["seeds"]

    def drawn(name: str, shape: tuple[int, int], seed: int) -> Features:
        return golden_weights.network_input(name, shape, seed).astype(np.float64)

    mix = drawn("mix", (size, size), seeds[2]) / np.sqrt(size)
    first = drawn("features_a", (case["n_a"], size), seeds[0]) * case.get("scale_a", 1.0) @ mix
    if "note" in case:  # identical sets
        return first, first
    second = drawn("features_b", (case["n_b"], size), seeds[1]) * case["scale_b"] + case["shift_b"]
    return first, second @ (np.eye(size) + 0.5 * mix)


def distance(first: Features, second: Features, *, ddof: int = 1) -> float:
    return frechet_distance(FrechetStatistics.of(first), FrechetStatistics.of(second), ddof=ddof)


def from_features(first: Features, second: Features, *, ddof: int = 1) -> float:
    """The distance by the nuclear norm of the centred features, without any covariance."""
    scaled = [(x - x.mean(axis=0)) / np.sqrt(len(x) - ddof) for x in (first, second)]
    offset = first.mean(axis=0) - second.mean(axis=0)
    roots = np.linalg.svd(scaled[0] @ scaled[1].T, compute_uv=False).sum()
    return float(offset @ offset + sum((x**2).sum() for x in scaled) - 2 * roots)


def merged(features: Features, parts: Sequence[int], *, from_left: bool) -> FrechetStatistics:
    """Statistics of parts, merged one by one, or in pairs."""
    found = [FrechetStatistics.of(part) for part in np.split(features, sorted(parts))]
    while len(found) > 1:
        if from_left:
            found = [found[0].merge(found[1]), *found[2:]]
        else:
            pairs = [found[i : i + 2] for i in range(0, len(found), 2)]
            found = [pair[-1].merge(pair[0]) if len(pair) == 2 else pair[0] for pair in pairs]
    return found[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['dim']}-{case.get('note', 'different')}")
def test_distance_is_the_published_one(case: dict[str, Any]) -> None:
    first, second = golden_features(case)
    # The published matrix root is ill-conditioned where there are fewer samples than dimensions.
    tolerance = 1e-6 if case["n_a"] > case["dim"] else 1e-3
    assert distance(first, second) == pytest.approx(case["frechet"], rel=1e-6, abs=tolerance)
    assert distance(first, second) == pytest.approx(from_features(first, second), rel=1e-12, abs=1e-11)


@settings(max_examples=60, deadline=None)
@given(
    num_features=st.integers(1, 12),
    counts=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    parts=st.lists(st.integers(0, 40), max_size=8),
    seed=st.integers(0, 2**32 - 1),
    mean=st.sampled_from([0.0, 0.5, 30.0]),
    ddof=st.sampled_from([0, 1]),
    from_left=st.booleans(),
    float32=st.booleans(),
)
def test_distance_does_not_depend_on_order_or_split(
    num_features: int,
    counts: tuple[int, int],
    parts: list[int],
    seed: int,
    mean: float,
    ddof: int,
    from_left: bool,
    float32: bool,
) -> None:
    rng = np.random.default_rng(seed)
    first, second = (
        (rng.normal(size=(n, num_features)) + mean).astype(np.float32 if float32 else np.float64) for n in counts
    )
    whole = distance(first, second, ddof=ddof)
    shuffled = merged(rng.permutation(first), parts=[min(p, counts[0]) for p in parts], from_left=from_left)
    # Sums lose digits of the variances to the squared mean.
    scale = 1.0 + mean**2
    parted = frechet_distance(shuffled, FrechetStatistics.of(second), ddof=ddof)
    assert parted == pytest.approx(whole, rel=1e-12 * scale, abs=1e-12 * scale * num_features)
    oracle = from_features(first.astype(np.float64), second.astype(np.float64), ddof=ddof)
    assert whole == pytest.approx(oracle, rel=1e-12 * scale, abs=1e-12 * scale * num_features)
    reverse = frechet_distance(FrechetStatistics.of(second), shuffled, ddof=ddof)
    assert reverse == pytest.approx(parted, rel=1e-12 * scale, abs=1e-12 * scale * num_features)


@settings(max_examples=30, deadline=None)
@given(
    counts=st.tuples(*[st.integers(0, 6)] * 3),
    levels=st.integers(0, 2**32 - 1),
)
def test_merging_is_associative_and_commutative(counts: tuple[int, ...], levels: int) -> None:
    # Small whole numbers have exact sums, so that the statistics must be equal.
    rng = np.random.default_rng(levels)
    a, b, c = (FrechetStatistics.of(rng.integers(-100, 100, (n, 4)).astype(np.float32)) for n in counts)
    for other in (a.merge(b.merge(c)), c.merge(a).merge(b)):
        assert a.merge(b).merge(c).n == other.n == sum(counts)
        np.testing.assert_array_equal(a.merge(b).merge(c).total, other.total)
        np.testing.assert_array_equal(a.merge(b).merge(c).outer, other.outer)


@pytest.mark.parametrize("ddof", [0, 1])
def test_distance_is_that_of_a_matrix_root(ddof: int) -> None:
    rng = np.random.default_rng(3)
    mix = rng.normal(size=(24, 24))
    first, second = rng.normal(size=(90, 24)) @ mix, rng.normal(0.3, 2, size=(70, 24))
    covariances = [np.cov(x, rowvar=False, ddof=ddof) for x in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    offset = first.mean(axis=0) - second.mean(axis=0)
    expected = offset @ offset + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert distance(first, second, ddof=ddof) == pytest.approx(expected, rel=1e-9)


class _Pooled(torch.nn.Module):
    """Features without a network, for torchmetrics: the pixels of a small picture."""

    num_features = 12

    def forward(self, pictures_N3HW: torch.Tensor) -> torch.Tensor:
        return pictures_N3HW.flatten(1).double()


def test_merged_distance_is_that_of_torchmetrics() -> None:
    rng = np.random.default_rng(4)
    sets = [rng.integers(0, high, (n, 3, 2, 2), dtype=np.uint8) for high, n in ((255, 60), (200, 50))]
    halves = [FrechetInceptionDistance(feature=_Pooled(), input_img_size=(3, 2, 2)) for _ in range(2)]
    for index, metric in enumerate(halves):
        for pictures, real in zip(sets, (True, False), strict=True):
            metric.update(torch.from_numpy(np.array_split(pictures, 2)[index]), real=real)
    halves[0].merge_state(halves[1])
    features = [pictures.reshape(len(pictures), -1).astype(np.float32) for pictures in sets]
    statistics = [merged(x, [7, 30], from_left=True) for x in features]
    assert frechet_distance(*statistics, ddof=1) == pytest.approx(float(halves[0].compute()), rel=1e-9)


def test_directions_without_variance_add_nothing() -> None:
    rng = np.random.default_rng(5)
    still = np.repeat(rng.normal(5, 1, size=(1, 16)), 20, axis=0)
    moving = rng.normal(size=(20, 16))
    assert distance(still, still + 1) == pytest.approx(16, rel=1e-12)
    assert distance(still, moving) == pytest.approx(from_features(still, moving), rel=1e-12)
    twice = np.concatenate([moving, moving], axis=1)  # rank 16 of 32
    assert distance(twice, 2 * twice) == pytest.approx(from_features(twice, 2 * twice), rel=1e-11)


def test_too_few_samples_are_said() -> None:
    rng = np.random.default_rng(6)
    assert FrechetStatistics.of(rng.normal(size=(8, 8))).singular
    assert not FrechetStatistics.of(rng.normal(size=(9, 8))).singular


def test_incompatible_statistics_are_refused() -> None:
    rng = np.random.default_rng(7)
    whole = FrechetStatistics.of(rng.normal(size=(5, 3)))
    wider = FrechetStatistics.of(rng.normal(size=(5, 4)))
    for compared in (lambda: whole.merge(wider), lambda: frechet_distance(whole, wider, ddof=1)):
        with pytest.raises(ValueError, match="3 and 4 dimensions"):
            compared()
    for n in (0, 1):
        with pytest.raises(ValueError, match=f"at least 2 samples, got {n}"):
            frechet_distance(whole, FrechetStatistics.of(np.zeros((n, 3))), ddof=1)
    with pytest.raises(ValueError, match="ddof"):
        frechet_distance(whole, whole, ddof=2)
    for features in (np.zeros(3), np.zeros((2, 0)), np.zeros((2, 3, 1))):
        with pytest.raises(ValueError, match="shape"):
            FrechetStatistics.of(features)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            FrechetStatistics.of(np.array([[0.0, value]]))
        with pytest.raises(ValueError, match="not finite"):
            FrechetStatistics(n=1, total=np.zeros(2), outer=np.full((2, 2), value))
    with pytest.raises(ValueError, match="shape"):
        FrechetStatistics(n=1, total=np.zeros(2), outer=np.zeros((3, 3)))
