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
    decibels = [_decibels(error) for error in _squared_errors(found_THWC, truth_THWC)]
    return np.array(decibels)


def clip_psnr(found_THWC: NDArray[np.uint8], truth_THWC: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of a clip in dB: of the mean squared difference of all its frames.

    Unlike the mean of `psnr`, no frame decides it by being equal to the truth by chance.

    Raises:
        ValueError: as `psnr`.
    """
    return _decibels(float(np.mean(_squared_errors(found_THWC, truth_THWC))))


def _squared_errors(found_THWC: NDArray[np.uint8], truth_THWC: NDArray[np.uint8]) -> list[float]:
    """Mean squared difference of each frame."""
    for frames in (found_THWC, truth_THWC):
        if frames.ndim != 4 or frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 (T, H, W, C), got {frames.dtype} {frames.shape}")
    if found_THWC.shape != truth_THWC.shape:
        raise ValueError(f"frames of shape {found_THWC.shape} cannot be compared with {truth_THWC.shape}")
    return [
        float(np.mean((found.astype(np.float64) - truth.astype(np.float64)) ** 2))
        for found, truth in zip(found_THWC, truth_THWC, strict=True)
    ]


def _decibels(squared_error: float) -> float:
    return float(10 * np.log10(255.0**2 / squared_error)) if squared_error else IDENTICAL_DB
