"""Animate-X's denoiser of one clip, with everything computed that depends on no step, and where sampling begins."""

from __future__ import annotations

import torch
from torch import Tensor

from models.animate_x.config import AnimateXConfig, NoisePrior
from models.animate_x.network import AnimateX, ClipConditions, WindowConditions
from models.common.window_denoiser import WindowDenoiser
from models.sampling.schedule import NoiseSchedule

FRAMES_AT_ONCE = 8
"""Drawings of a call of the skeleton's convolutions, which work at full resolution."""


class ClipDenoiser(WindowDenoiser[WindowConditions]):
    """Animate-X's denoiser of one clip."""

    def __init__(self, network: AnimateX, clip: ClipConditions) -> None:
        """`clip`: a batch of one."""
        features = network.clip_features(clip, frames_at_once=FRAMES_AT_ONCE)
        device, dtype = features.context_BLD.device, features.context_BLD.dtype

        def conditions(window: tuple[int, ...], conditional: bool) -> WindowConditions:
            return network.window_conditions(features, window, torch.tensor([conditional], device=device))

        super().__init__(conditions, network.denoiser, dtype=dtype)


def first_latents(
    noise_CFHW: Tensor,
    offset_CF11: Tensor,
    reference_latents_CHW: Tensor,
    config: AnimateXConfig,
    *,
    num_windows: int,
) -> Tensor:
    """(C, F, H, W) latents at the first step. `offset_CF11`: noise that is constant over each channel of a frame."""
    x = noise_CFHW
    prior: NoisePrior | None = config.noise_prior
    if prior is not None:
        t = prior.one_window if num_windows == 1 else prior.windows
        x = NoiseSchedule(config.schedule).add_noise(reference_latents_CHW[:, None].expand_as(x), x, t)
    return x + config.offset_noise * offset_CF11
