"""Where X-Dyna's sampling begins: the reference, half of it blurred, with noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.sampling.schedule import NoiseSchedule

BLUR_SIDE, BLUR_SIGMA = 9, 18.0
"""Side and deviation of the Gaussian kernel, in latents."""


def first_latents(
    noise_CFHW: Tensor, blurs_CFHW: Tensor, reference_latents_CHW: Tensor, schedule: NoiseSchedule, *, t: int
) -> Tensor:
    """(C, F, H, W) latents at training step `t`.

    `blurs_CFHW`: bool; where true, the reference is replaced by its blur.
    """
    reference, blurred = reference_latents_CHW[:, None], blur(reference_latents_CHW)[:, None]
    return schedule.add_noise(torch.where(blurs_CFHW, blurred, reference), noise_CFHW, t)


def blur(x_CHW: Tensor) -> Tensor:
    """Gaussian blur with reflection at the borders.

    Raises:
        ValueError: a side is not longer than half the kernel.
    """
    radius = BLUR_SIDE // 2
    if min(x_CHW.shape[1:]) <= radius:
        height, width = x_CHW.shape[1:]
        raise ValueError(f"latents must be wider and higher than {radius} for the blur, got {width} x {height}")
    places = torch.arange(-radius, radius + 1, device=x_CHW.device, dtype=x_CHW.dtype)
    weights = torch.exp(-0.5 * (places / BLUR_SIGMA).square())
    weights = weights / weights.sum()
    padded = functional.pad(x_CHW[None], (radius,) * 4, mode="reflect").transpose(0, 1)
    rows = functional.conv2d(padded, weights[None, None, None, :])
    return functional.conv2d(rows, weights[None, None, :, None])[:, 0]
