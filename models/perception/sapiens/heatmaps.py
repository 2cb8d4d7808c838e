"""Decoding of heatmaps to keypoints: DARK (arXiv:1910.06278) with unbiased coordinates (UDP, arXiv:1911.07524)."""

from __future__ import annotations

import cv2
import torch
from torch import Tensor
from torch.nn import functional

BLUR_SIZE = 11
FLOOR, CEILING = 1e-3, 50.0
"""Range of blurred heatmaps before the logarithm."""
MAX_OFFSET = 3.0
"""Maximum refinement in heatmap pixels; larger offsets come from flat or noisy maps and are ignored."""


def decode(heatmaps_BKHW: Tensor) -> tuple[Tensor, Tensor]:
    """Decode points (B, K, 2), x and y in pixels of the heatmap, and scores (B, K), the heatmaps' maxima.

    Each maximum is refined by one Newton step on the logarithm of the blurred heatmap. The published code blurs the
    whole map and rescales it to its original maximum; here only the neighbourhood of the maximum is blurred and
    rescaled, which makes a difference only for values clamped to `FLOOR`.
    """
    width = heatmaps_BKHW.shape[3]
    maps = heatmaps_BKHW.float().flatten(0, 1)
    score, index = maps.flatten(1).max(dim=1)
    x, y = index % width, index // width
    blurred_N33 = _blurred_around(maps, x, y)
    highest = blurred_N33.amax(dim=(1, 2))
    gain = torch.where(highest > 0, score / highest, 1.0)
    offset = _newton((blurred_N33 * gain[:, None, None]).clamp(FLOOR, CEILING).log())
    offset = torch.where((offset.abs() <= MAX_OFFSET).all(dim=1, keepdim=True), offset, 0.0)
    points = torch.stack([x, y], dim=1) + offset
    shape = heatmaps_BKHW.shape[:2]
    return points.view(*shape, 2), score.view(shape)


def _patches(maps_NHW: Tensor, x_N: Tensor, y_N: Tensor, reach: int) -> Tensor:
    """Patches (N, 2 reach + 1, 2 reach + 1) around a point of each map, zero outside, without copying the maps."""
    height, width = maps_NHW.shape[1:]
    span = torch.arange(-reach, reach + 1, device=maps_NHW.device)
    each = torch.arange(len(maps_NHW), device=maps_NHW.device)[:, None, None]
    rows, columns = (y_N[:, None] + span)[:, :, None], (x_N[:, None] + span)[:, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return maps_NHW[each, rows.clamp(0, height - 1), columns.clamp(0, width - 1)] * inside


def _kernel(like: Tensor) -> Tensor:
    row = torch.from_numpy(cv2.getGaussianKernel(BLUR_SIZE, 0)).to(like)
    return (row @ row.T)[None, None]


def _blurred_around(maps_NHW: Tensor, x_N: Tensor, y_N: Tensor) -> Tensor:
    """(N, 3, 3) blurred map at the point and its neighbours, with edge replication outside the map."""
    height, width = maps_NHW.shape[1:]
    patches = _patches(maps_NHW, x_N, y_N, BLUR_SIZE // 2 + 1)
    blurred = functional.conv2d(patches[:, None], _kernel(maps_NHW))[:, 0]
    step = torch.arange(-1, 2, device=maps_NHW.device)
    rows = (y_N[:, None] + step).clamp(0, height - 1) - y_N[:, None] + 1
    columns = (x_N[:, None] + step).clamp(0, width - 1) - x_N[:, None] + 1
    each = torch.arange(len(maps_NHW), device=maps_NHW.device)[:, None, None]
    return blurred[each, rows[:, :, None], columns[:, None, :]]


def _newton(log_N33: Tensor) -> Tensor:
    """(N, 2) Newton step, x and y, from the centre to the peak of the quadratic through the neighbours."""
    middle = log_N33[:, 1, 1]
    left, right, above, below = log_N33[:, 1, 0], log_N33[:, 1, 2], log_N33[:, 0, 1], log_N33[:, 2, 1]
    eps = torch.finfo(log_N33.dtype).eps
    dx, dy = (right - left) / 2, (below - above) / 2
    dxx, dyy = right - 2 * middle + left + eps, below - 2 * middle + above + eps
    # The cross term from two opposite corners, as in UDP's published code.
    dxy = (log_N33[:, 2, 2] - right - below + 2 * middle - left - above + log_N33[:, 0, 0]) / 2
    determinant = dxx * dyy - dxy * dxy
    step = torch.stack([dyy * dx - dxy * dy, dxx * dy - dxy * dx], dim=1)
    return -step / determinant[:, None]
