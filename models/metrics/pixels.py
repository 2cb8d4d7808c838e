"""Differences between pictures, pixel by pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IDENTICAL_DB = 100.0
"""PSNR of equal pictures, as the public evaluations count it: it is infinite, and a mean must stay finite."""


def psnr(found_THWC: NDArray[np.uint8], truth_THWC: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(T) peak signal-to-noise ratio of every frame in dB: 10 · log10(255² / mean squared difference), in float64.

    The papers' "PSNR*"; their "PSNR" squares differences that wrap around in uint8, and is not offered.

    Raises:
        ValueError: the two differ in shape, or are not uint8 (T, H, W, C).
    """
    for frames in (found_THWC, truth_THWC):
        if frames.ndim != 4 or frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 (T, H, W, C), got {frames.dtype} {frames.shape}")
    if found_THWC.shape != truth_THWC.shape:
        raise ValueError(f"frames of shape {found_THWC.shape} cannot be compared with {truth_THWC.shape}")
    decibels = np.empty(len(found_THWC))
    for t, (found, truth) in enumerate(zip(found_THWC, truth_THWC, strict=True)):
        error = np.mean((found.astype(np.float64) - truth.astype(np.float64)) ** 2)
        decibels[t] = 10 * np.log10(255.0**2 / error) if error else IDENTICAL_DB
    return decibels
