from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.sampling.config import ScheduleConfig
from models.sampling.denoise import sample
from models.sampling.schedule import NoiseSchedule
from models.sampling.solver import AdamsBashforth, Solver, ddim

SCHEDULE = NoiseSchedule(ScheduleConfig())
NewSolver = Callable[[NoiseSchedule], Solver]
FRAMES = [[0, 1]]


def run(
    new_solver: NewSolver, noise_CFHW: Tensor, num_steps: int, expected_sample: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """A run with the velocity for a sample that is expected of x_t at t."""

    def denoise(x_BCFHW: Tensor, t: int, windows: object, conditional: object) -> Tensor:
        x0 = expected_sample(x_BCFHW, t)
        alpha = SCHEDULE.alpha_cumprod(t)
        return SCHEDULE.velocity(x0, (x_BCFHW - math.sqrt(alpha) * x0) / math.sqrt(1 - alpha), t)

    return sample(
        denoise,
        noise_CFHW,
        schedule=SCHEDULE,
        num_steps=num_steps,
        guidance_scale=1.0,
        windows=FRAMES,
        solver=new_solver,
    )


def deviation(new_solver: NewSolver, variance: float, num_steps: int) -> float:
    """Deviation relative to the true one, where samples are normal: all predictions are linear in the noise."""

    def expected_sample(x: Tensor, t: int) -> Tensor:
        alpha = SCHEDULE.alpha_cumprod(t)
        return math.sqrt(alpha) * variance / (alpha * variance + 1 - alpha) * x

    noise = torch.ones(1, 2, 1, 1, dtype=torch.float64)
    return float(run(new_solver, noise, num_steps, expected_sample).mean()) / math.sqrt(variance)


@pytest.mark.parametrize("variance", [1.0, 0.5, 0.25])
def test_few_steps_of_second_order_keep_most_of_what_first_order_loses(variance: float) -> None:
    lost, lost_of_ddim = (1 - deviation(solver, variance, 4) for solver in (AdamsBashforth, ddim))
    assert 0 < lost < 0.6 * lost_of_ddim
    assert variance < 1 or deviation(ddim, variance, 4) ** 2 == pytest.approx(0.47, abs=0.005)


def test_twice_the_steps_leave_a_quarter_of_the_error() -> None:
    for solver, least, most in ((AdamsBashforth, 3.5, 4.5), (ddim, 1.8, 2.2)):
        errors = [1 - deviation(solver, 0.5, num_steps) for num_steps in (100, 200)]
        assert least < errors[0] / errors[1] < most


@pytest.mark.parametrize("num_steps", [1, 2, 4, 8])
def test_a_sample_that_is_known_is_reached_without_a_trace_of_the_noise(num_steps: int) -> None:
    known, noise = (torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    reached = run(AdamsBashforth, noise, num_steps, lambda x, t: known[None])
    torch.testing.assert_close(reached, known, atol=1e-5, rtol=1e-5)


def test_the_first_step_is_that_of_ddim_and_a_run_remembers_no_other() -> None:
    noise = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(2))
    one, of_ddim = (run(solver, noise, 1, lambda x, t: torch.sin(x + t)) for solver in (AdamsBashforth, ddim))
    torch.testing.assert_close(one, of_ddim, atol=1e-5, rtol=1e-5)
    first, second = (run(AdamsBashforth, noise, 4, lambda x, t: torch.sin(x + t)) for _ in range(2))
    assert torch.equal(first, second)
