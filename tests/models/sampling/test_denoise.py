from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from models.sampling.config import ScheduleConfig, WindowConfig
from models.sampling.denoise import Windows, sample
from models.sampling.schedule import NoiseSchedule
from models.sampling.windows import windows

V = NoiseSchedule(ScheduleConfig())
EPSILON = NoiseSchedule(
    ScheduleConfig(betas="linear", zero_terminal_snr=False, prediction="epsilon", spacing="leading")
)
SCHEDULES = pytest.mark.parametrize("schedule", [V, EPSILON], ids=["v", "epsilon"])


class Gaussian:
    """The exact denoiser of frames drawn from N(mean, spread²); without conditions, of N(0, spread²)."""

    def __init__(self, schedule: NoiseSchedule, mean_CFHW: Tensor, spread: float) -> None:
        self.schedule, self.mean_CFHW, self.spread = schedule, mean_CFHW, spread
        self.rows_per_call: list[int] = []

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        self.rows_per_call.append(len(windows))
        alpha = self.schedule.alpha_cumprod(t)
        mean = torch.stack([self.mean_CFHW[:, list(w)] * c for w, c in zip(windows, conditional, strict=True)])
        variance = alpha * self.spread**2 + 1 - alpha
        x0 = mean + alpha**0.5 * self.spread**2 / variance * (latents_BCFHW - alpha**0.5 * mean)
        noise = (1 - alpha) ** 0.5 / variance * (latents_BCFHW - alpha**0.5 * mean)
        return noise if self.schedule.config.prediction == "epsilon" else alpha**0.5 * noise - (1 - alpha) ** 0.5 * x0


class Local:
    """A prediction that depends on the other frames of the window, on its conditions and on nothing else."""

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        along = torch.tensor([0.5 if c else -0.25 for c in conditional]).view(-1, 1, 1, 1, 1)
        return torch.tanh(latents_BCFHW + along * latents_BCFHW.mean(dim=2, keepdim=True) + t / 1000)


def noise(num_frames: int) -> Tensor:
    return torch.randn((2, num_frames, 3, 3), generator=torch.Generator().manual_seed(7))


@SCHEDULES
def test_a_point_distribution_is_sampled_exactly_with_any_number_of_steps(schedule: NoiseSchedule) -> None:
    mean = 3 * noise(9).roll(1, dims=1)
    plan = windows(9, WindowConfig(size=4, overlap=1))
    for num_steps in (1, 4, 25):
        sample_CFHW = sample(
            Gaussian(schedule, mean, 0.0),
            noise(9),
            schedule=schedule,
            num_steps=num_steps,
            guidance_scale=1,
            windows=plan,
        )
        torch.testing.assert_close(sample_CFHW, mean, atol=2e-4, rtol=1e-4)


@SCHEDULES
def test_many_steps_map_noise_to_the_distribution(schedule: NoiseSchedule) -> None:
    mean = noise(5).flip(1)
    start = noise(5)
    sample_CFHW = sample(
        Gaussian(schedule, mean, 0.5),
        start,
        schedule=schedule,
        num_steps=500,
        guidance_scale=1,
        windows=[[0, 1, 2, 3, 4]],
    )
    # The flow of a Gaussian is linear: x_0 - mean grows from x_T - sqrt(alpha_T) mean by the ratio of the spreads.
    alpha = schedule.alpha_cumprod(schedule.timesteps(500)[0])
    expected = mean + 0.5 * (start - alpha**0.5 * mean) / (alpha * 0.25 + 1 - alpha) ** 0.5
    torch.testing.assert_close(sample_CFHW, expected, atol=0.03, rtol=0)


@SCHEDULES
def test_guidance_extrapolates_from_the_unconditional_mean(schedule: NoiseSchedule) -> None:
    # Of points, the guided target is 0 + s (mean - 0).
    mean = noise(4)
    sample_CFHW = sample(
        Gaussian(schedule, mean, 0.0), noise(4), schedule=schedule, num_steps=10, guidance_scale=3.5, windows=[range(4)]
    )
    torch.testing.assert_close(sample_CFHW, 3.5 * mean, atol=1e-3, rtol=1e-3)


def test_predictions_are_averaged_over_windows_before_guidance() -> None:
    x = noise(6)
    plan = [[0, 1, 2, 3], [2, 3, 4, 5]]
    stepped = sample(Local(), x, schedule=V, num_steps=1, guidance_scale=2.0, windows=plan)
    halves = {}
    for conditional in (False, True):
        first, second = (Local()(x[None, :, w], 999, [w], [conditional])[0] for w in plan)
        halves[conditional] = torch.cat([first[:, :2], (first[:, 2:] + second[:, :2]) / 2, second[:, 2:]], dim=1)
    # One step from zero signal lands on x_0 = -v.
    expected = -(halves[False] + 2.0 * (halves[True] - halves[False]))
    torch.testing.assert_close(stepped, expected)


@pytest.mark.parametrize("blend", ["uniform", "triangular"])
@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_one_window_is_the_loop_without_windows(blend: str, guidance_scale: float) -> None:
    x = noise(5)
    sample_CFHW = sample(
        Local(), x, schedule=V, num_steps=4, guidance_scale=guidance_scale, windows=[list(range(5))], blend=blend
    )
    plain = x[None]
    for t in V.timesteps(4):
        conditional = Local()(plain, t, [], [True])
        unconditional = Local()(plain, t, [], [False])
        v = conditional if guidance_scale == 1 else unconditional + guidance_scale * (conditional - unconditional)
        x0, eps = V.sample_and_noise(v, plain, t)
        alpha = V.alpha_cumprod(t - 250)
        plain = alpha**0.5 * x0 + (1 - alpha) ** 0.5 * eps
    torch.testing.assert_close(sample_CFHW, plain[0], rtol=0, atol=0)


def test_the_batch_does_not_change_the_result_and_is_respected() -> None:
    plan = windows(20, WindowConfig(size=6, overlap=2))
    outputs = []
    for window_batch in (1, 2, 3, 100):
        denoiser = Gaussian(V, noise(20), 0.4)
        outputs.append(
            sample(
                denoiser,
                noise(20),
                schedule=V,
                num_steps=3,
                guidance_scale=2.0,
                windows=plan,
                window_batch=window_batch,
            )
        )
        assert max(denoiser.rows_per_call) == min(window_batch, 2 * len(plan))
        assert sum(denoiser.rows_per_call) == 3 * 2 * len(plan)
    assert all(torch.equal(outputs[0], other) for other in outputs[1:])


def test_guidance_scale_one_computes_only_the_conditional_half() -> None:
    batches: list[bool] = []

    def denoise(latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        batches.extend(conditional)
        return latents_BCFHW

    sample(denoise, noise(4), schedule=V, num_steps=2, guidance_scale=1.0, windows=[range(4)])
    assert batches == [True, True]


def test_windows_may_change_with_the_step_and_progress_is_reported() -> None:
    batches: list[list[int]] = []
    progress: list[tuple[int, int]] = []

    def denoise(latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        batches.extend(list(w) for w in windows)
        return latents_BCFHW

    config = WindowConfig(size=4, overlap=0, layout="closed_loop")
    sample(
        denoise,
        noise(8),
        schedule=V,
        num_steps=2,
        guidance_scale=1,
        windows=lambda step: windows(8, config, offset=step),
        on_step=lambda done, total: progress.append((done, total)),
    )
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [1, 2, 3, 4], [5, 6, 7, 0]]
    assert progress == [(1, 2), (2, 2)]


def test_refuses_a_prediction_of_another_shape_and_an_empty_batch() -> None:
    with pytest.raises(ValueError, match=r"must predict \(2, 2, 4, 3, 3\), got \(2, 2, 1, 3, 3\)"):
        sample(lambda x, t, w, c: x[:, :, :1], noise(4), schedule=V, num_steps=1, guidance_scale=2, windows=[range(4)])
    with pytest.raises(ValueError, match="window_batch must be at least 1"):
        sample(Local(), noise(4), schedule=V, num_steps=1, guidance_scale=2, windows=[range(4)], window_batch=0)
