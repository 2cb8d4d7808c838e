"""Diffusion loss. Random numbers depend only on the run's seed and the sample's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.sampling.schedule import NoiseSchedule
from models.training.recipe import LossConfig
from models.training.sample_spec import NOISE, stream


@dataclass(frozen=True, kw_only=True, slots=True)
class NoisyBatch:
    """Latents noised to random timesteps.

    `noisy_BCFHW`, `target_BCFHW`: x_t and the network's prediction target. `t_B`: int64.
    `conditional_B`: bool; False: an unconditional row, for classifier-free guidance.
    `kept_BP`: bool; whether the row keeps each of the P optional conditions; all False in unconditional rows.
    `weights_B`: float32 weights of the rows' losses.
    """

    noisy_BCFHW: Tensor
    target_BCFHW: Tensor
    t_B: Tensor
    conditional_B: Tensor
    kept_BP: Tensor
    weights_B: Tensor

    def row_losses(self, prediction_BCFHW: Tensor, place_weights_BFHW: Tensor | None = None) -> Tensor:
        """(B) float32: weighted mean squared error of each row. `place_weights_BFHW`: relative weights of latents."""
        error_BFHW = (prediction_BCFHW.float() - self.target_BCFHW).square().mean(1)
        if place_weights_BFHW is not None:
            error_BFHW = error_BFHW * (place_weights_BFHW / place_weights_BFHW.mean((1, 2, 3), keepdim=True))
        return error_BFHW.flatten(1).mean(1) * self.weights_B


def add_noise(
    latents_BCFHW: Tensor,
    samples: Sequence[int],
    *,
    schedule: NoiseSchedule,
    config: LossConfig,
    seed: int,
    num_parts: int = 0,
) -> NoisyBatch:
    """Draw timestep, noise and condition dropout for every row, and add the noise.

    Random numbers are drawn on the CPU row by row, so they depend neither on the device nor on the batch.

    `samples`: sample number of each row. `num_parts`: number P of optional conditions, each dropped on its own.
    """
    device = latents_BCFHW.device
    noise = torch.empty(latents_BCFHW.shape, dtype=torch.float32)
    steps, conditional, kept = [], [], []
    for row, sample in zip(noise, samples, strict=True):
        rng = stream(seed, NOISE, sample)
        share, shift = rng.uniform(), config.timestep_shift
        steps.append(int(schedule.config.num_train_steps * shift * share / (1 + (shift - 1) * share)))
        chance = rng.uniform()
        conditional.append(bool(chance >= config.condition_dropout))
        row.copy_(torch.from_numpy(rng.standard_normal(row.shape, dtype="float32")))
        if config.noise_offset:
            offset_frames = row.shape[1] if config.noise_offset_per_frame else 1
            offset = rng.standard_normal((row.shape[0], offset_frames, 1, 1), dtype="float32")
            row.add_(torch.from_numpy(offset), alpha=config.noise_offset)
        whole = config.condition_dropout <= chance < config.condition_dropout + config.keep_share
        kept.append(conditional[-1] & (whole | (rng.uniform(size=num_parts) >= config.part_dropout)))
    noise, t_B = noise.to(device), torch.tensor(steps, device=device)
    latents = latents_BCFHW.float()
    return NoisyBatch(
        noisy_BCFHW=schedule.add_noise(latents, noise, t_B),
        target_BCFHW=schedule.target(latents, noise, t_B),
        t_B=t_B,
        conditional_B=torch.tensor(conditional, device=device),
        kept_BP=torch.from_numpy(np.stack(kept)).to(device),
        weights_B=(
            torch.ones(len(samples), device=device)
            if config.snr_gamma is None
            else schedule.min_snr_weights(t_B, gamma=config.snr_gamma)
        ),
    )
