"""Pixel-wise image metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IDENTICAL_DB = 100.0
"""PSNR of identical frames, as in public evaluation code: a finite value, so that means stay finite."""


def psnr(output_THWC: NDArray[np.uint8], truth_THWC: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(T) peak signal-to-noise ratio of every frame in dB: 10 · log10(255² / mean squared error), in float64.

    The papers' "PSNR*". Their "PSNR" squares differences that wrap around in uint8, and is not provided.

    Raises:
        ValueError: the arrays differ in shape, or are not uint8 (T, H, W, C).
    """
    decibels = [_decibels(error) for error in _squared_errors(output_THWC, truth_THWC)]
    return np.array(decibels)


def clip_psnr(output_THWC: NDArray[np.uint8], truth_THWC: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of a clip in dB, from the mean squared error over all frames.

    Unlike the mean of `psnr`, it is not dominated by single frames that are identical to the truth.

    Raises:
        ValueError: see `psnr`.
    """
    return _decibels(float(np.mean(_squared_errors(output_THWC, truth_THWC))))


def region_psnr(output_THWC: NDArray[np.uint8], truth_THWC: NDArray[np.uint8], region_THW: NDArray[np.bool_]) -> float:
    """Peak signal-to-noise ratio of a clip in dB, from the mean squared error over the pixels of a region; at
    most `IDENTICAL_DB`, however few pixels differ.

    Raises:
        ValueError: the region is empty, or the arrays differ in shape.
    """
    if output_THWC.shape != truth_THWC.shape or region_THW.shape != truth_THWC.shape[:3]:
        raise ValueError(
            f"expected arrays of one size, got {output_THWC.shape}, {truth_THWC.shape} and {region_THW.shape}"
        )
    if not region_THW.any():
        raise ValueError("the region is empty; leave out clips that do not show it")
    difference = output_THWC[region_THW].astype(np.float64) - truth_THWC[region_THW]
    return min(_decibels(float(np.mean(difference**2))), IDENTICAL_DB)


def _squared_errors(output_THWC: NDArray[np.uint8], truth_THWC: NDArray[np.uint8]) -> list[float]:
    """Mean squared error of each frame."""
    for frames in (output_THWC, truth_THWC):
        if frames.ndim != 4 or frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 (T, H, W, C), got {frames.dtype} {frames.shape}")
    if output_THWC.shape != truth_THWC.shape:
        raise ValueError(f"frames of shape {output_THWC.shape} cannot be compared with {truth_THWC.shape}")
    return [
        float(np.mean((frame.astype(np.float64) - truth.astype(np.float64)) ** 2))
        for frame, truth in zip(output_THWC, truth_THWC, strict=True)
    ]


def _decibels(squared_error: float) -> float:
    return float(10 * np.log10(255.0**2 / squared_error)) if squared_error else IDENTICAL_DB
