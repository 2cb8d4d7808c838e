"""Sampling loop over overlapping windows with classifier-free guidance, independent of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from models.finite import check_finite
from models.sampling.config import Blend
from models.sampling.schedule import NoiseSchedule
from models.sampling.solver import Solver, ddim
from models.sampling.windows import blend_weights

Windows = Sequence[Sequence[int]]


class Denoiser(Protocol):
    """Network with its step-independent inputs (reference, pose, image tokens) bound."""

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool], /) -> Tensor:
        """Predict noise or velocity for each row, in the shape of `latents_BCFHW`.

        Row b holds the frames `windows[b]` of the clip at training step `t`, predicted with the conditions if
        `conditional[b]`, without them otherwise.
        """
        ...


def sample(
    denoise: Denoiser,
    latents_CFHW: Tensor,
    *,
    schedule: NoiseSchedule,
    num_steps: int,
    guidance_scale: float,
    windows: Windows | Callable[[int], Windows],
    blend: Blend = "uniform",
    window_batch: int = 2,
    solver: Callable[[NoiseSchedule], Solver] = ddim,
    on_step: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Denoise the latents of a clip, with the loop of the public pipelines.

    At every step, the predictions of all windows are averaged per frame, separately with and without conditions;
    guidance combines the two averages; one step of the solver updates all frames.

    Memory: a few tensors of the size of `latents_CFHW` and one call of the network, independent of the clip's length.
    The result does not depend on `window_batch`, except for rounding differences of kernels chosen by batch size.

    Args:
        denoise: the network.
        latents_CFHW: initial noise, float32; averages are kept on its device.
        schedule: the noise schedule.
        num_steps: nominal number of steps.
        guidance_scale: s of uncond + s · (cond − uncond); at exactly 1 only the conditional prediction is computed.
        windows: frame indices of each window, or a function that returns them for a step index (0 first).
        blend: weights of a frame's predictions, see `blend_weights`.
        window_batch: rows per call of the network; a row is one window with or without conditions, so 2 is one window
          with guidance.
        solver: makes the solver of a run.
        on_step: called with (completed steps, total steps) after each step.

    Returns:
        Denoised latents (C, F, H, W), float32.

    Raises:
        ValueError: a frame is in no window, `window_batch` < 1, or a prediction has another shape.
        NotFiniteError: the network predicted NaN or infinity; the message names the step.
    """
    if window_batch < 1:
        raise ValueError(f"window_batch must be at least 1, got {window_batch}")
    timesteps = schedule.timesteps(num_steps)
    halves = (True,) if guidance_scale == 1 else (False, True)
    step = solver(schedule)
    x = latents_CFHW
    for index, t in enumerate(timesteps):
        step_windows = windows(index) if callable(windows) else windows
        mean = _mean_predictions(denoise, x, t, step_windows, halves, blend, window_batch)
        prediction = mean[True] if guidance_scale == 1 else guide(mean[False], mean[True], guidance_scale)
        x = step(prediction, t, schedule.previous(t, num_steps), x)
        check_finite(x, f"latents after denoising step {index + 1} of {len(timesteps)}")
        if on_step is not None:
            on_step(index + 1, len(timesteps))
    return x


def guide(unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598) in the form uncond + s · (cond − uncond)."""
    return unconditional + scale * (conditional - unconditional)


def _mean_predictions(
    denoise: Denoiser,
    x_CFHW: Tensor,
    t: int,
    windows: Windows,
    halves: Sequence[bool],
    blend: Blend,
    window_batch: int,
) -> dict[bool, Tensor]:
    """Blended prediction for all frames (C, F, H, W) without (False) and with (True) conditions."""
    weights = blend_weights(windows, x_CFHW.shape[1], blend)
    mean = {half: torch.zeros_like(x_CFHW) for half in halves}
    rows = [(number, half) for number in range(len(windows)) for half in halves]
    for first in range(0, len(rows), window_batch):
        batch = rows[first : first + window_batch]
        index = [torch.tensor(windows[number], device=x_CFHW.device) for number, _ in batch]
        latents_BCFHW = torch.stack([x_CFHW[:, frames] for frames in index])
        output = denoise(latents_BCFHW, t, [windows[number] for number, _ in batch], [half for _, half in batch])
        if output.shape != latents_BCFHW.shape:
            raise ValueError(f"the network must predict {tuple(latents_BCFHW.shape)}, got {tuple(output.shape)}")
        # Rows are added one by one in window order, so that rounding does not depend on the batch size.
        for (number, half), frames, row_CFHW in zip(batch, index, output.to(x_CFHW), strict=True):
            mean[half].index_add_(1, frames, row_CFHW * weights[number].to(x_CFHW)[:, None, None])
    return mean
