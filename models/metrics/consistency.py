"""Consistency of a clip's features over time, and their drift from the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.metrics.temporal import quarter_drift

MAX_ASPECT_RATIO = 8
"""Of frames whose features are computed: networks resize the shorter side, so that memory grows with the ratio."""


def is_elongated(frames_THWC: NDArray[np.uint8]) -> bool:
    """Whether the ratio of the frames' sides exceeds `MAX_ASPECT_RATIO`."""
    height, width = frames_THWC.shape[1:3]
    return bool(max(height, width) > MAX_ASPECT_RATIO * min(height, width))


def consistency(features_TD: NDArray[np.float32]) -> float | None:
    """Mean over the frames after the first of the mean of two cosines: with the first frame, and with the frame before;
    negative ones count as 0. None for a single frame.

    Published by VBench (Huang et al. 2024) as subject and background consistency.
    """
    if len(features_TD) < 2:
        return None
    first = np.broadcast_to(features_TD[:1], features_TD[1:].shape)
    with_first = cosines(first, features_TD[1:]).clip(min=0)
    with_previous = cosines(features_TD[:-1], features_TD[1:]).clip(min=0)
    return float((with_first + with_previous).mean() / 2)


def identity_drift(animation_TD: NDArray[np.float32], truth_TD: NDArray[np.float32]) -> float | None:
    """Mean cosine of the features of animation and truth in the first quarter of the frames, minus that in the last
    quarter; None for a single frame.
    """
    return quarter_drift(cosines(animation_TD, truth_TD))


def cosines(a_TD: NDArray[np.float32], b_TD: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosines (T) of two sequences of vectors, in float64; 0 where a vector is 0.

    Raises:
        ValueError: the sequences differ in shape, or a value is not finite.
    """
    if a_TD.shape != b_TD.shape or a_TD.ndim != 2:
        raise ValueError(f"expected two (T, D) arrays of one shape, got {a_TD.shape} and {b_TD.shape}")
    if not (np.isfinite(a_TD).all() and np.isfinite(b_TD).all()):
        raise ValueError("features must be finite; the network or its weights are at fault")
    a, b = a_TD.astype(np.float64), b_TD.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    products = (a * b).sum(1)
    cosine: NDArray[np.float64] = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return cosine.clip(-1, 1)
