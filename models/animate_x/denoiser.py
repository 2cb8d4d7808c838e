"""Animate-X's denoiser of one clip, with everything computed that depends on no step, and where sampling begins."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.animate_x.config import AnimateXConfig, NoisePrior
from models.animate_x.network import AnimateX, ClipConditions, WindowConditions
from models.sampling.denoise import Windows
from models.sampling.schedule import NoiseSchedule

FRAMES_AT_ONCE = 8
"""Drawings of a call of the skeleton's convolutions, which work at full resolution."""


class ClipDenoiser:
    """See `models.sampling.denoise.Denoiser`. A window's conditions are computed once."""

    def __init__(self, network: AnimateX, clip: ClipConditions) -> None:
        """`clip`: a batch of one."""
        self._network = network
        self._features = network.clip_features(clip, frames_at_once=FRAMES_AT_ONCE)
        self._windows: dict[tuple[tuple[int, ...], bool], WindowConditions] = {}

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        """The prediction for each row."""
        rows = [self._conditions(tuple(window), row) for window, row in zip(windows, conditional, strict=True)]
        conditions = WindowConditions.stack(rows)
        x = latents_BCFHW.to(conditions.concat_BCFHW.dtype)
        t_B = torch.full((len(x),), t, device=x.device)
        predicted: Tensor = self._network.denoiser(x, t_B, conditions)
        return predicted.to(latents_BCFHW.dtype)

    def _conditions(self, window: tuple[int, ...], conditional: bool) -> WindowConditions:
        if (window, conditional) not in self._windows:
            conditional_B = torch.tensor([conditional], device=self._features.context_BLD.device)
            self._windows[window, conditional] = self._network.window_conditions(self._features, window, conditional_B)
        return self._windows[window, conditional]


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
