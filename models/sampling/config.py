"""Noise schedules and context windows as configurations. Imports no torch: planning a job reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Betas = Literal["linear", "scaled_linear"]
Prediction = Literal["epsilon", "v_prediction"]
Spacing = Literal["leading", "leading_to_end", "trailing"]
Layout = Literal["closed_loop", "open_loop", "last_shifted"]
Blend = Literal["uniform", "triangular"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """Training noise schedule and inference timesteps.

    `betas`: "linear" in β, or "scaled_linear", linear in √β.
    `zero_terminal_snr`: rescale so that ᾱ at the last step is exactly 0 (Lin et al. 2024, arXiv 2305.08891,
      algorithm 1).
    `prediction`: what the network predicts.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowConfig:
    """Layout of the windows over a clip longer than one window.

    `size`, `overlap`: frames per window, and frames shared by neighbouring windows.
    `layout`: "closed_loop" wraps around from the last frame to the first (Moore-AnimateAnyone, X-Dyna; suited to clips
      that loop, otherwise it mixes end and beginning); "open_loop" stops at the end, where the last window may still
      wrap around unless the clip has `padded_num_frames` (MusePose); "last_shifted" shifts the last window back to end
      at the last frame (UniAnimate), so that no window wraps.
    `stride`: number of levels of the AnimateDiff schedule; level k takes every 2ᵏ-th frame. Must be 1 for
      "last_shifted".
    `random_offset`: whether each step shifts its windows by a number of frames drawn from the request's seed, so that
      no frame stays at a window's end (X-Dyna). Needs a loop layout.
    `blend`: "uniform" averages the predictions for a frame, as the public pipelines do; "triangular" weights a
      prediction by its distance from the window's ends, which avoids seams at window boundaries.
    """

    size: int
    overlap: int
    layout: Layout = "last_shifted"
    stride: int = 1
    random_offset: bool = False
    blend: Blend = "uniform"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.size:
            raise ValueError(f"window overlap must be from 0 to size - 1, got {self.overlap} with size {self.size}")
        if self.stride < 1 or (self.stride > 1 and self.layout == "last_shifted"):
            raise ValueError(
                f"window stride must be 1, or more for a loop layout; got {self.stride} with {self.layout}"
            )
        if self.random_offset and self.layout == "last_shifted":
            raise ValueError(f"random_offset needs a loop layout, got {self.layout}")
