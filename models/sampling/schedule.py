"""Noise schedule of a diffusion model and the deterministic DDIM step, as functions of ᾱ.

Notation of DDPM: x_t = √ᾱ_t · x_0 + √(1 − ᾱ_t) · ε, with t in [0, num_train_steps). SNR = ᾱ / (1 − ᾱ).
Velocity v = √ᾱ_t · ε − √(1 − ᾱ_t) · x_0 (Salimans and Ho 2022, arXiv 2202.00512).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Betas = Literal["linear", "scaled_linear"]
Prediction = Literal["epsilon", "v_prediction"]
Spacing = Literal["leading", "leading_to_end", "trailing"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """Training noise schedule and inference timesteps.

    `betas`: "linear" in β, or "scaled_linear", linear in √β.
    `zero_terminal_snr`: rescale so that ᾱ at the last step is exactly 0 (Lin et al. 2024, arXiv 2305.08891,
      algorithm 1).
    `prediction`: quantity predicted by the network, ε or v.
    `spacing`: choice of N of the T training steps, with stride = T // N:
      "leading" `steps_offset` + k · stride for k < N; "leading_to_end" the same, but for every k with k · stride < T,
      which is N + 1 evaluations for N = 30 of 1000 (UniAnimate and its descendants); "trailing" T − k · T / N − 1,
      rounded.
    `final_alpha_one`: the last step ends at ᾱ = 1 (no noise); otherwise at ᾱ_0.
    """

    num_train_steps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    betas: Betas = "scaled_linear"
    zero_terminal_snr: bool = True
    prediction: Prediction = "v_prediction"
    spacing: Spacing = "trailing"
    steps_offset: int = 1
    final_alpha_one: bool = True

    def __post_init__(self) -> None:
        if self.num_train_steps < 2:
            raise ValueError(f"num_train_steps must be at least 2, got {self.num_train_steps}")
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise ValueError(
                f"betas must satisfy 0 < beta_start <= beta_end < 1, got {self.beta_start} and {self.beta_end}"
            )
        if self.zero_terminal_snr and self.prediction == "epsilon":
            raise ValueError(
                "zero_terminal_snr needs prediction='v_prediction': at zero SNR the noise does not determine the sample"
            )


class NoiseSchedule:
    """ᾱ of every training step, and functions of it.

    A tensor `t` is int64 (B,), one step per row; an int is the same step for all rows. Results have the dtype and
    device of the given samples.
    """

    def __init__(self, config: ScheduleConfig) -> None:
        self.config = config
        self.alphas_cumprod = _alphas_cumprod(config)
        """ᾱ: (num_train_steps,) float64, on the CPU."""

    def timesteps(self, num_steps: int) -> list[int]:
        """Training steps evaluated by a run of nominally `num_steps`, from noise to sample.

        Raises:
            ValueError: `num_steps` is not in [1, num_train_steps].
        """
        total = self.config.num_train_steps
        stride = self._stride(num_steps)
        if self.config.spacing == "trailing":
            # Rounds half to even, as numpy does in the public implementations.
            return [round(total - k * total / num_steps) - 1 for k in range(num_steps)]
        count = num_steps if self.config.spacing == "leading" else -(-total // stride)
        return [min(k * stride + self.config.steps_offset, total - 1) for k in reversed(range(count))]

    def previous(self, t: int, num_steps: int) -> int:
        """Target training step of the DDIM step from `t`; negative after the last evaluation.

        t − T // N, as in the public samplers. If N does not divide T, it can differ by one from the next step of a
        "trailing" list.
        """
        return t - self._stride(num_steps)

    def alpha_cumprod(self, t: int) -> float:
        """ᾱ at a training step; for a negative step, 1 or ᾱ_0 (see `final_alpha_one`)."""
        if t < 0:
            return 1.0 if self.config.final_alpha_one else float(self.alphas_cumprod[0])
        return float(self.alphas_cumprod[t])

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor | int) -> Tensor:
        """x_t, in the shape of `x0` (B, …)."""
        signal, sigma = self._scales(t, x0)
        return signal * x0 + sigma * noise

    def velocity(self, x0: Tensor, noise: Tensor, t: Tensor | int) -> Tensor:
        """v, in the shape of `x0` (B, …)."""
        signal, sigma = self._scales(t, x0)
        return signal * noise - sigma * x0

    def target(self, x0: Tensor, noise: Tensor, t: Tensor | int) -> Tensor:
        """Training target of the network for x_t: ε or v."""
        return noise if self.config.prediction == "epsilon" else self.velocity(x0, noise, t)

    def sample_and_noise(self, model_output: Tensor, x_t: Tensor, t: Tensor | int) -> tuple[Tensor, Tensor]:
        """Convert a prediction for x_t to x_0 and ε."""
        signal, sigma = self._scales(t, x_t)
        if self.config.prediction == "epsilon":
            return (x_t - sigma * model_output) / signal, model_output
        return signal * x_t - sigma * model_output, signal * model_output + sigma * x_t

    def snr(self, t: Tensor) -> Tensor:
        """Signal-to-noise ratio ᾱ / (1 − ᾱ) at steps (B,), float32 on the device of `t`."""
        alpha = self.alphas_cumprod.to(t.device)[t]
        return (alpha / (1 - alpha)).float()

    def min_snr_weights(self, t: Tensor, *, gamma: float) -> Tensor:
        """Loss weights (B,) float32 of Min-SNR-γ (Hang et al. 2023, arXiv 2303.09556).

        min(s, γ) / s, where s is the SNR for ε-prediction and SNR + 1 for v-prediction (as in the public Animate Anyone
        training code, so that the weight at zero SNR is 1 instead of 0).
        """
        s = self.snr(t) if self.config.prediction == "epsilon" else self.snr(t) + 1
        return s.clamp(max=gamma) / s

    def _stride(self, num_steps: int) -> int:
        if not 1 <= num_steps <= self.config.num_train_steps:
            raise ValueError(f"num_steps must be from 1 to {self.config.num_train_steps}, got {num_steps}")
        return self.config.num_train_steps // num_steps

    def _scales(self, t: Tensor | int, like: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """√ᾱ and √(1 − ᾱ), shaped to multiply `like` (B, …)."""
        if isinstance(t, int):
            alpha = self.alpha_cumprod(t)
            return math.sqrt(alpha), math.sqrt(1 - alpha)
        alphas = self.alphas_cumprod.to(t.device)[t].view(-1, *(1,) * (like.ndim - 1))
        return alphas.sqrt().to(like), (1 - alphas).sqrt().to(like)


def ddim_step(schedule: NoiseSchedule, model_output: Tensor, t: int, t_previous: int, x_t: Tensor) -> Tensor:
    """DDIM step with η = 0 from x_t to x at `t_previous`.

    Song et al. 2021, arXiv 2010.02502, equation 12.
    With v-prediction it is also valid at ᾱ_t = 0, where x_0 = −v and ε = x_t.
    """
    x0, noise = schedule.sample_and_noise(model_output, x_t, t)
    alpha = schedule.alpha_cumprod(t_previous)
    return math.sqrt(alpha) * x0 + math.sqrt(1 - alpha) * noise


def _alphas_cumprod(config: ScheduleConfig) -> Tensor:
    power = 1.0 if config.betas == "linear" else 2.0
    start, end = config.beta_start ** (1 / power), config.beta_end ** (1 / power)
    betas = torch.linspace(start, end, config.num_train_steps, dtype=torch.float64) ** power
    alphas_cumprod = (1 - betas).cumprod(dim=0)
    if not config.zero_terminal_snr:
        return alphas_cumprod
    root = alphas_cumprod.sqrt()
    rescaled: Tensor = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    return rescaled.square()
