"""Fréchet distance between two sets of features, from sums that can be merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrechetStatistics:
    """Sufficient statistics of a set of features.

    Merging is commutative and, up to the rounding of float64 sums, associative: sets may be split in any way.

    Args:
        n: number of features.
        total: (D,) float64, their sum.
        outer: (D, D) float64, the sum of their outer products.
    """

    n: int
    total: Matrix
    outer: Matrix

    def __post_init__(self) -> None:
        size = self.total.shape[0] if self.total.ndim == 1 else 0
        if self.n < 0 or size < 1 or self.outer.shape != (size, size):
            raise ValueError(
                f"expected n >= 0, sums of shape (D,) and (D, D), got n = {self.n}, {self.total.shape} and "
                f"{self.outer.shape}"
            )
        if not (np.isfinite(self.total).all() and np.isfinite(self.outer).all()):
            raise ValueError("sums of features are not finite; the file they come from is damaged")

    @classmethod
    def of(cls, features_ND: NDArray[np.floating]) -> FrechetStatistics:
        """Statistics of features (N, D); N may be 0.

        Raises:
            ValueError: the array is not (N, D) with D >= 1, or not finite.
        """
        if features_ND.ndim != 2:
            raise ValueError(f"expected features of shape (N, D), got {features_ND.shape}")
        features = features_ND.astype(np.float64)
        if not np.isfinite(features).all():
            raise ValueError(
                f"{int((~np.isfinite(features)).any(axis=1).sum())} of {len(features)} features are not finite"
            )
        return cls(n=len(features), total=features.sum(axis=0), outer=features.T @ features)

    @property
    def num_features(self) -> int:
        """Dimension D of the features."""
        return len(self.total)

    @property
    def singular(self) -> bool:
        """Whether there are too few samples for a covariance of full rank: n <= D. Distances are then biased upwards
        and only compare between sets of the same n.
        """
        return self.n <= self.num_features

    def merge(self, other: FrechetStatistics) -> FrechetStatistics:
        """Statistics of the union of two sets.

        Raises:
            ValueError: the dimensions differ.
        """
        _check_dimensions(self, other)
        return FrechetStatistics(n=self.n + other.n, total=self.total + other.total, outer=self.outer + other.outer)

    def covariance(self, *, ddof: int) -> Matrix:
        """(D, D) covariance, sums divided by n - `ddof`.

        Raises:
            ValueError: n < 2, or `ddof` is neither 0 nor 1.
        """
        if ddof not in (0, 1):
            raise ValueError(f"expected ddof 0 or 1, got {ddof}")
        if self.n < 2:
            raise ValueError(f"a covariance needs at least 2 samples, got {self.n}")
        return (self.outer - np.outer(self.total, self.total) / self.n) / (self.n - ddof)


def frechet_distance(first: FrechetStatistics, second: FrechetStatistics, *, ddof: int) -> float:
    """Squared Fréchet (2-Wasserstein) distance between the normal distributions of two sets (Dowson and Landau 1982):
    ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr (Σ₁ Σ₂)^½, at least 0.

    With Σ = F Fᵀ the last trace is the sum of the singular values of F₁ᵀ F₂, which keeps its precision for singular
    covariances, where a matrix root of the product loses half of the digits.

    Args:
        ddof: delta degrees of freedom of both covariances: 1 divides by n - 1, 0 by n.

    Raises:
        ValueError: the dimensions differ, a set has fewer than 2 samples, or `ddof` is neither 0 nor 1.
    """
    _check_dimensions(first, second)
    offset = first.total / first.n - second.total / second.n if min(first.n, second.n) else np.zeros(0)
    covariances = [statistics.covariance(ddof=ddof) for statistics in (first, second)]
    factors = [_factor(*pair) for pair in zip((first, second), covariances, strict=True)]
    root_trace = float(np.linalg.svd(factors[0].T @ factors[1], compute_uv=False).sum())
    traces = sum(float(np.trace(covariance)) for covariance in covariances)
    return max(float(offset @ offset) + traces - 2 * root_trace, 0.0)


def _factor(statistics: FrechetStatistics, covariance: Matrix) -> Matrix:
    """(D, rank) factor F of a covariance F Fᵀ.

    Eigenvalues within the rounding errors of the sums are those of directions without variance. Their roots would be
    eight digits larger than the errors, and different for each order of merging.
    """
    eigenvalues, vectors = np.linalg.eigh(covariance)
    scale = max(float(eigenvalues[-1]), float(np.diagonal(statistics.outer).max()) / statistics.n)
    kept = eigenvalues > statistics.num_features * np.finfo(np.float64).eps * scale
    factor: Matrix = vectors[:, kept] * np.sqrt(eigenvalues[kept])
    return factor


def _check_dimensions(first: FrechetStatistics, second: FrechetStatistics) -> None:
    if first.num_features != second.num_features:
        raise ValueError(
            f"features of {first.num_features} and {second.num_features} dimensions cannot be compared; "
            "they come from different networks"
        )
