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
    """The noise schedule of training, and how inference walks it.

    `betas`: "linear" in β, or "scaled_linear", linear in √β.
    `zero_terminal_snr`: rescale so that ᾱ at the last step is exactly 0 (Lin et al. 2024, arXiv 2305.08891,
      algorithm 1).
    `prediction`: what the network predicts.
    `spacing`: which N of the T training steps are evaluated, stride = T // N:
      "leading" `steps_offset` + k · stride for k < N; "leading_to_end" the same, but for every k with k · stride < T,
      which is N + 1 evaluations for N = 30 of 1000 (the UniAnimate lineage); "trailing" T − k · T / N − 1, rounded.
    `final_alpha_one`: the step past the first training step ends at ᾱ = 1 (no noise); otherwise at ᾱ_0.
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
                "zero_terminal_snr needs prediction='v_prediction': at zero signal the noise says nothing of the sample"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowConfig:
    """How a clip longer than one window is covered.

    `size`, `overlap`: frames of a window, and frames that neighbours share.
    `layout`: "closed_loop" runs on past the last frame into the first ones (Moore-AnimateAnyone, X-Dyna; right for
      clips that loop, otherwise end and beginning mix); "open_loop" stops at the end, where its last window may still
      wrap around unless the clip has `padded_num_frames` (MusePose); "last_shifted" moves the last window back to end
      at the last frame (UniAnimate), so no window wraps.
    `stride`: levels of the AnimateDiff schedule: level k takes every 2ᵏ-th frame. Not for "last_shifted".
    `blend`: "uniform" averages the predictions for a frame, as the public pipelines do; "triangular" weighs a
      prediction by its distance from its window's ends, so that there is no seam where a window begins or ends.
    """

    size: int
    overlap: int
    layout: Layout = "last_shifted"
    stride: int = 1
    blend: Blend = "uniform"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.size:
            raise ValueError(f"window overlap must be from 0 to size - 1, got {self.overlap} with size {self.size}")
        if self.stride < 1 or (self.stride > 1 and self.layout == "last_shifted"):
            raise ValueError(
                f"window stride must be 1, or more for a loop layout; got {self.stride} with {self.layout}"
            )
