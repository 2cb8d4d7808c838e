"""Pixel-wise measures of frames against the true ones."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Values = NDArray[np.float64]

IDENTICAL_DB = 100.0
"""PSNR of identical frames, as in public evaluation code: a finite value, so that means stay finite."""
SSIM_WINDOW_PX = 7
"""Side of SSIM's square window; the measure is undefined for frames below it."""

_STRIP_PIXELS = 32768
"""Pixels of a frame that SSIM takes at once, so that its arrays stay in the processor's cache."""
_AREA = SSIM_WINDOW_PX**2
_LUMINANCE = (0.01 * 255) ** 2 * _AREA**2
_CONTRAST = (0.03 * 255) ** 2 * _AREA * (_AREA - 1)


def psnr(output_THWC: Frames, truth_THWC: Frames) -> Values:
    """(T) peak signal-to-noise ratio of every frame in dB: 20 · log10(255 / root mean squared error).

    DisCo's evaluation code computes the same since commit 6190108 ("PSNR*" in papers).

    Raises:
        ValueError: the arrays differ in shape, have empty frames, or are not uint8 (T, H, W, C).
    """
    return np.array([_decibels(error) for error in _squared_errors(output_THWC, truth_THWC)])


def psnr_wrapped(output_THWC: Frames, truth_THWC: Frames) -> Values:
    """(T) the ratio in dB that DisCo computed before commit 6190108: differences and their squares are taken modulo
    256, which overstates most frames by several dB. `IDENTICAL_DB` if all squares wrap to zero.

    Raises:
        ValueError: see `psnr`.
    """
    check_frames(output_THWC, truth_THWC)
    values = np.empty(len(truth_THWC))
    for index, (frame, truth) in enumerate(zip(output_THWC, truth_THWC, strict=True)):
        squares = frame - truth
        squares *= squares
        values[index] = _decibels(sum(cv2.sumElems(squares.reshape(-1))) / squares.size)
    return values


def l1(output_THWC: Frames, truth_THWC: Frames) -> Values:
    """(T) mean absolute difference of every frame, relative to 255.

    Raises:
        ValueError: see `psnr`.
    """
    return _absolute_errors(output_THWC, truth_THWC) / 255


def l1_disco(output_THWC: Frames, truth_THWC: Frames) -> Values:
    """(T) mean absolute difference of every frame in levels of 255, divided by height · width, as DisCo computes it.

    It depends on the resolution: only values of one size compare.

    Raises:
        ValueError: see `psnr`.
    """
    errors = _absolute_errors(output_THWC, truth_THWC)
    return errors / float(math.prod(truth_THWC.shape[1:3]))


def ssim(output_THW3: Frames, truth_THW3: Frames) -> Values:
    """(T) structural similarity of every frame in grey; NaN for frames below 7 pixels.

    Wang et al. 2004 with a uniform 7 × 7 window, unbiased covariances and without the 3 pixels at each border, the
    defaults of scikit-image, which DisCo applies to OpenCV's grey levels. Sums are exact in integers.

    Raises:
        ValueError: the frames are not RGB; see also `psnr`.
    """
    check_frames(output_THW3, truth_THW3)
    if truth_THW3.shape[3] != 3:
        raise ValueError(f"SSIM expects RGB frames (T, H, W, 3), got {truth_THW3.shape}")
    if min(truth_THW3.shape[1:3]) < SSIM_WINDOW_PX:
        return np.full(len(truth_THW3), np.nan)
    return np.array([_grey_ssim(_grey(a), _grey(b)) for a, b in zip(output_THW3, truth_THW3, strict=True)])


def clip_psnr(output_THWC: Frames, truth_THWC: Frames) -> float:
    """Peak signal-to-noise ratio of a clip in dB, from the mean squared error over all frames.

    Unlike the mean of `psnr`, it is not dominated by single frames that are identical to the truth.

    Raises:
        ValueError: see `psnr`.
    """
    return _decibels(float(np.mean(_squared_errors(output_THWC, truth_THWC))))


def region_psnr(output_THWC: Frames, truth_THWC: Frames, region_THW: NDArray[np.bool_]) -> float:
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


def resized_like(output_THWC: Frames, truth_THWC: Frames) -> Frames:
    """Frames at the size of the true ones, resized bilinearly without antialiasing as in DisCo; the same array if the
    sizes are equal.

    Raises:
        ValueError: either array has empty frames, or is not uint8 (T, H, W, C).
    """
    _check_layout(output_THWC)
    _check_layout(truth_THWC)
    height_px, width_px = truth_THWC.shape[1:3]
    if output_THWC.shape[1:3] == (height_px, width_px):
        return output_THWC
    resized = np.empty((len(output_THWC), height_px, width_px, output_THWC.shape[3]), np.uint8)
    for target, frame in zip(resized, output_THWC, strict=True):
        target[:] = cv2.resize(frame, (width_px, height_px), interpolation=cv2.INTER_LINEAR).reshape(target.shape)
    return resized


def check_frames(output_THWC: Frames, truth_THWC: Frames) -> None:
    """Check that two clips can be compared pixel by pixel.

    Raises:
        ValueError: see `psnr`.
    """
    _check_layout(output_THWC)
    _check_layout(truth_THWC)
    if output_THWC.shape != truth_THWC.shape:
        raise ValueError(f"frames of shape {output_THWC.shape} cannot be compared with {truth_THWC.shape}")


def _check_layout(frames_THWC: Frames) -> None:
    if frames_THWC.ndim != 4 or frames_THWC.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 (T, H, W, C), got {frames_THWC.dtype} {frames_THWC.shape}")
    if 0 in frames_THWC.shape[1:]:
        raise ValueError(f"frames must not be empty, got {frames_THWC.shape}")


def _squared_errors(output_THWC: Frames, truth_THWC: Frames) -> Values:
    """Mean squared error of each frame, from exact integer sums."""
    return _mean_norms(output_THWC, truth_THWC, cv2.NORM_L2SQR)


def _absolute_errors(output_THWC: Frames, truth_THWC: Frames) -> Values:
    """Mean absolute error of each frame in levels, from exact integer sums."""
    return _mean_norms(output_THWC, truth_THWC, cv2.NORM_L1)


def _mean_norms(output_THWC: Frames, truth_THWC: Frames, norm: int) -> Values:
    check_frames(output_THWC, truth_THWC)
    # The sums are integers, which OpenCV returns with an error of the last bit where it squares a root.
    sums = [
        round(cv2.norm(frame.reshape(len(frame), -1), truth.reshape(len(truth), -1), norm))
        for frame, truth in zip(output_THWC, truth_THWC, strict=True)
    ]
    return np.array(sums, np.float64) / math.prod(truth_THWC.shape[1:])


def _decibels(squared_error: float) -> float:
    return 20 * math.log10(255.0 / math.sqrt(squared_error)) if squared_error else IDENTICAL_DB


def _grey(frame_HW3: Frames) -> Frames:
    grey: Frames = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY)
    return grey


def _grey_ssim(first_HW: Frames, second_HW: Frames) -> float:
    """SSIM's fraction with numerator and denominator multiplied by the powers of the window's area that make the
    moments integers: below 2^31, hence exact.
    """
    height_px, width_px = first_HW.shape[0] - SSIM_WINDOW_PX + 1, first_HW.shape[1] - SSIM_WINDOW_PX + 1
    rows = max(SSIM_WINDOW_PX, _STRIP_PIXELS // first_HW.shape[1])
    total = 0.0
    for top in range(0, height_px, rows):
        strip = slice(top, top + rows + SSIM_WINDOW_PX - 1)
        total += float(_strip_similarities(first_HW[strip], second_HW[strip]).sum())
    return float(total / (height_px * width_px))


def _strip_similarities(first_HW: Frames, second_HW: Frames) -> NDArray[np.floating]:
    """SSIM of each window. The squares of both pictures follow from their product and that of the difference."""
    difference = cv2.absdiff(first_HW, second_HW)
    squares = _window_sums(cv2.multiply(difference, difference, dtype=cv2.CV_16U))
    covariances = _window_sums(cv2.multiply(first_HW, second_HW, dtype=cv2.CV_16U))
    first, second = _window_sums(first_HW), _window_sums(second_HW)
    products = first * second
    products *= 2
    covariances *= 2 * _AREA
    covariances -= products
    mean_differences = first
    mean_differences -= second
    mean_differences *= mean_differences
    variances = squares
    variances *= _AREA
    variances -= mean_differences
    variances += covariances
    mean_differences += products  # now the sum of both squares
    similarities = products + _LUMINANCE
    similarities *= covariances + _CONTRAST
    similarities /= (mean_differences + _LUMINANCE) * (variances + _CONTRAST)
    return similarities


def _window_sums(values_HW: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.int32]:
    """Sums over each window that lies within the array."""
    sums: NDArray[np.int32] = cv2.boxFilter(values_HW, cv2.CV_32S, (SSIM_WINDOW_PX,) * 2, normalize=False)
    margin = SSIM_WINDOW_PX // 2
    return sums[margin:-margin, margin:-margin]
