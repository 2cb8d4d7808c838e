import json

import pytest
import torch
from golden import GOLDEN

from models.sampling.config import ScheduleConfig
from models.sampling.schedule import NoiseSchedule, ddim_step

MOORE = ScheduleConfig(betas="linear")
MUSEPOSE = ScheduleConfig()
X_DYNA = ScheduleConfig(betas="linear", zero_terminal_snr=False, prediction="epsilon", spacing="leading")
UNIANIMATE = ScheduleConfig(spacing="leading_to_end", final_alpha_one=False)
PUBLISHED = {"moore": MOORE, "musepose": MUSEPOSE, "x_dyna": X_DYNA, "unianimate": UNIANIMATE}
SHAPE = (3, 4, 2, 5, 5)


def draw(seed: int, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def golden_rows() -> list[tuple[ScheduleConfig, dict]]:
    configs = {"moore_v1": X_DYNA, "x_dyna": X_DYNA, "musepose": MUSEPOSE, "unianimate / animate_x": UNIANIMATE}
    rows = json.loads((GOLDEN / "schedules" / "case.json").read_text())["rows"]
    return [(configs.get(row["model"]) or ScheduleConfig(betas=row["config"]["beta_schedule"]), row) for row in rows]


def test_published_schedules() -> None:
    assert len(golden_rows()) == 6
    for config, row in golden_rows():
        schedule = NoiseSchedule(config)
        for t, alpha in row["alphas_cumprod"].items():
            assert schedule.alpha_cumprod(int(t)) == pytest.approx(alpha, abs=1e-6), (row["model"], t)
        for num_steps, timesteps in row["timesteps"].items():
            assert schedule.timesteps(int(num_steps)) == timesteps, (row["model"], num_steps)


def test_unianimate_has_one_more_step_if_the_number_does_not_divide() -> None:
    schedule = NoiseSchedule(UNIANIMATE)
    assert [len(schedule.timesteps(n)) for n in (25, 30)] == [25, 31]
    assert schedule.alpha_cumprod(schedule.previous(1, 30)) == schedule.alpha_cumprod(0) < 1


@pytest.mark.parametrize("name", ["moore", "musepose", "x_dyna"])
@pytest.mark.parametrize("num_steps", [6, 20, 30])
def test_sampling_equals_diffusers(name: str, num_steps: int) -> None:
    from diffusers import DDIMScheduler

    config = PUBLISHED[name]
    peer = DDIMScheduler(
        beta_start=config.beta_start,
        beta_end=config.beta_end,
        beta_schedule=config.betas,
        clip_sample=False,
        steps_offset=config.steps_offset,
        prediction_type=config.prediction,
        rescale_betas_zero_snr=config.zero_terminal_snr,
        timestep_spacing=config.spacing,
    )
    peer.set_timesteps(num_steps)
    schedule = NoiseSchedule(config)
    assert schedule.timesteps(num_steps) == peer.timesteps.tolist()
    ours = theirs = draw(0)
    for t in schedule.timesteps(num_steps):
        output = torch.sin(3 * ours + t)  # any output will do
        ours = ddim_step(schedule, output, t, schedule.previous(t, num_steps), ours)
        theirs = peer.step(output, t, theirs).prev_sample
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED)
def test_the_training_target_converts_back_to_sample_and_noise(config: ScheduleConfig) -> None:
    schedule = NoiseSchedule(config)
    x0, noise, t = draw(1), draw(2), torch.tensor([0, 400, 990])
    x_t = schedule.add_noise(x0, noise, t)
    found_x0, found_noise = schedule.sample_and_noise(schedule.target(x0, noise, t), x_t, t)
    torch.testing.assert_close(found_x0, x0, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(found_noise, noise, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED)
def test_one_step_for_a_batch_is_one_step_for_each_row(config: ScheduleConfig) -> None:
    schedule = NoiseSchedule(config)
    x0, noise = draw(1), draw(2)
    steps = [3, 500, 999]
    for make in (schedule.add_noise, schedule.velocity):
        batch = make(x0, noise, torch.tensor(steps))
        for row, t in enumerate(steps):
            torch.testing.assert_close(batch[row], make(x0[row], noise[row], t))


def test_zero_terminal_snr_is_pure_noise_and_stays_finite() -> None:
    schedule = NoiseSchedule(MOORE)
    x0, noise = draw(1), draw(2)
    torch.testing.assert_close(schedule.add_noise(x0, noise, 999), noise, rtol=0, atol=0)
    torch.testing.assert_close(schedule.target(x0, noise, 999), -x0, rtol=0, atol=0)
    stepped = ddim_step(schedule, schedule.target(x0, noise, 999), 999, -1, noise)
    torch.testing.assert_close(stepped, x0, rtol=0, atol=0)


def test_snr_falls_and_min_snr_weights_are_capped() -> None:
    t = torch.arange(1000)
    for config in PUBLISHED.values():
        schedule = NoiseSchedule(config)
        snr = schedule.snr(t)
        assert (snr.diff() < 0).all()
        weights = schedule.min_snr_weights(t, gamma=5.0)
        strength = snr + 1 if config.prediction == "v_prediction" else snr
        torch.testing.assert_close(weights, torch.where(strength <= 5, 1.0, 5 / strength))
        assert weights.dtype == torch.float32
    assert NoiseSchedule(MOORE).snr(t)[-1] == 0


def test_half_precision_samples_keep_their_type() -> None:
    x = draw(1).half()
    assert NoiseSchedule(MOORE).add_noise(x, x, torch.tensor([1, 2, 3])).dtype == torch.float16
    assert NoiseSchedule(MOORE).add_noise(x, x, 3).dtype == torch.float16


def test_refuses_invalid_schedules() -> None:
    with pytest.raises(ValueError, match="zero_terminal_snr needs prediction='v_prediction'"):
        ScheduleConfig(prediction="epsilon")
    with pytest.raises(ValueError, match="beta_start <= beta_end"):
        ScheduleConfig(beta_start=0.1)
    with pytest.raises(ValueError, match="num_train_steps"):
        ScheduleConfig(num_train_steps=1)
    with pytest.raises(ValueError, match="from 1 to 1000, got 0"):
        NoiseSchedule(MOORE).timesteps(0)
