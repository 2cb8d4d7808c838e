"""Preparation of frames for feature networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

BATCH_FRAMES = 16


def batched(
    features: Callable[[Tensor], Tensor], frames_THWC: NDArray[np.uint8], device: torch.device | str
) -> NDArray[np.float32]:
    """Features (T, D) of frames by a function of float32 frames (N, 3, H, W) with levels 0–255, a batch at a time."""
    parts = [
        features(to_tensor(frames_THWC[first : first + BATCH_FRAMES], device)).float().cpu()
        for first in range(0, len(frames_THWC), BATCH_FRAMES)
    ]
    result: NDArray[np.float32] = torch.cat(parts).numpy()
    return result


def to_tensor(frames_THWC: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """Frames (T, 3, H, W) float32 with levels 0–255."""
    return torch.from_numpy(np.ascontiguousarray(frames_THWC)).to(device).movedim(-1, 1).float()


def consecutive_windows(frames_THWC: NDArray[np.uint8], num_frames: int) -> Iterator[NDArray[np.uint8]]:
    """Consecutive windows of `num_frames` frames; the remainder is left out."""
    for first in range(0, len(frames_THWC) - num_frames + 1, num_frames):
        yield frames_THWC[first : first + num_frames]


def shorter_side(frames_N3HW: Tensor, side_px: int, *, mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """Frames whose shorter side is `side_px`, without antialiasing and rounded to levels, as torchvision resizes uint8
    tensors.
    """
    height, width = frames_N3HW.shape[-2:]
    longer = int(side_px * max(height, width) / min(height, width))
    size = (side_px, longer) if height <= width else (longer, side_px)
    if size == (height, width):
        return frames_N3HW
    return functional.interpolate(frames_N3HW, size=size, mode=mode).clamp(0, 255).round()


def centre_square(frames_N3HW: Tensor, side_px: int) -> Tensor:
    """The middle square of frames of at least that size, with torchvision's rounding."""
    height, width = frames_N3HW.shape[-2:]
    top, left = round((height - side_px) / 2), round((width - side_px) / 2)
    return frames_N3HW[..., top : top + side_px, left : left + side_px]
