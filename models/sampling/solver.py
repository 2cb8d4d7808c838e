"""Solvers of the sampling loop: from the network's prediction at a training step to the latents at the next one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor

from models.sampling.schedule import NoiseSchedule, ddim_step

Solver = Callable[[Tensor, int, int, Tensor], Tensor]
"""(prediction, t, t of the next step, x_t) -> x at the next step. Serves one run of the loop: it may remember steps."""


def ddim(schedule: NoiseSchedule) -> Solver:
    """Steps of first order, as in the public samplers."""
    return partial(ddim_step, schedule)


class AdamsBashforth:
    """Steps of second order for one evaluation of the network each, for runs of few steps.

    Along a step, DDIM takes the predicted sample and noise to be constant. Four such steps turn Gaussian noise into
    Gaussian latents with half of their variance, so that whatever the conditions leave open hardly moves. Here both are
    extrapolated to the middle of the step, from their values at this step and at the last one, linearly in the angle
    arccos √ᾱ_t (the angular form of Salimans and Ho 2022, arXiv 2202.00512, appendix D). What the conditions decide
    ends where DDIM's ends. The first step is DDIM's.
    """

    def __init__(self, schedule: NoiseSchedule) -> None:
        self._schedule = schedule
        self._last: tuple[Tensor, Tensor, float] | None = None
        """Sample, noise and angle of the last step."""

    def __call__(self, model_output: Tensor, t: int, t_previous: int, x_t: Tensor) -> Tensor:
        """See `Solver`."""
        x0, noise = self._schedule.sample_and_noise(model_output, x_t, t)
        before, after = (math.acos(math.sqrt(self._schedule.alpha_cumprod(step))) for step in (t, t_previous))
        middle_x0, middle_noise = x0, noise
        if self._last is not None:
            last_x0, last_noise, last = self._last
            share = (before - after) / (2 * (last - before))
            middle_x0, middle_noise = x0 + share * (x0 - last_x0), noise + share * (noise - last_noise)
        self._last = x0, noise, before
        signal, sigma = math.cos(after) - math.cos(before), math.sin(after) - math.sin(before)
        return x_t + signal * middle_x0 + sigma * middle_noise
