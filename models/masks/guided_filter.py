"""Guided filter (He, Sun and Tang, TPAMI 2013): edges of a mask moved onto those of a picture.

OpenCV has one in its contrib modules only.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def guided_coefficients(
    guide_HWC: NDArray[np.uint8], mask_HW: NDArray[np.float32], *, radius_px: int, epsilon: float
) -> NDArray[np.float32]:
    """Coefficients (4, H, W) of the colours R, G, B (0-1), and a constant, whose sum is the filtered mask.

    They vary slowly, so that those of a small picture serve a large one (He and Sun, arXiv:1505.00996).

    `mask_HW`: values of any range. `radius_px`: of the square windows in which the mask is a linear function of the
    colours. `epsilon`: variance of the colours below which a window counts as flat.
    """
    side = 2 * radius_px + 1

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        blurred: NDArray[np.float64] = cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)
        return blurred

    # Double precision: the determinant of grey colours is a small difference of large products.
    r, g, b = (np.ascontiguousarray(guide_HWC[..., channel], np.float64) / 255 for channel in range(3))
    mask = mask_HW.astype(np.float64)
    mean_r, mean_g, mean_b, mean_mask = mean(r), mean(g), mean(b), mean(mask)
    mask_r, mask_g, mask_b = (
        mean(colour * mask) - colour_mean * mean_mask for colour, colour_mean in ((r, mean_r), (g, mean_g), (b, mean_b))
    )
    rr, gg, bb = (mean(c * c) - m * m + epsilon for c, m in ((r, mean_r), (g, mean_g), (b, mean_b)))
    rg, rb, gb = mean(r * g) - mean_r * mean_g, mean(r * b) - mean_r * mean_b, mean(g * b) - mean_g * mean_b
    # Cramer's rule: the inverse of the covariance matrix, times its determinant, by its six different entries.
    inverse_rr, inverse_rg, inverse_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    inverse_gg, inverse_gb, inverse_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    scale = 1 / (rr * inverse_rr + rg * inverse_rg + rb * inverse_rb)
    slope_r = (inverse_rr * mask_r + inverse_rg * mask_g + inverse_rb * mask_b) * scale
    slope_g = (inverse_rg * mask_r + inverse_gg * mask_g + inverse_gb * mask_b) * scale
    slope_b = (inverse_rb * mask_r + inverse_gb * mask_g + inverse_bb * mask_b) * scale
    constant = mean_mask - slope_r * mean_r - slope_g * mean_g - slope_b * mean_b
    return np.stack([mean(plane) for plane in (slope_r, slope_g, slope_b, constant)], dtype=np.float32)


def apply_coefficients(coefficients_4HW: NDArray[np.float32], guide_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Filtered mask (H, W) of the coefficients of `guided_coefficients` for a picture of their size."""
    filtered: NDArray[np.float32] = coefficients_4HW[3].copy()
    for slope, colour in zip(coefficients_4HW[:3], np.moveaxis(guide_HWC, -1, 0), strict=True):
        filtered += slope * (colour * np.float32(1 / 255))
    return filtered
