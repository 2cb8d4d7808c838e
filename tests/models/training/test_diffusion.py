from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.sampling.config import ScheduleConfig
from models.sampling.schedule import NoiseSchedule
from models.training.diffusion import add_noise
from models.training.recipe import LossConfig

SCHEDULE = NoiseSchedule(ScheduleConfig())
PLAIN = LossConfig(noise_offset=0.0, snr_gamma=None, condition_dropout=0.0)


def test_a_row_draws_the_same_whatever_rows_it_comes_with() -> None:
    latents = torch.randn(4, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    together = add_noise(latents, [5, 6, 7, 8], schedule=SCHEDULE, config=LossConfig(), seed=1)
    alone = add_noise(latents[2:3], [7], schedule=SCHEDULE, config=LossConfig(), seed=1)
    for name in ("noisy_BCFHW", "target_BCFHW", "t_B", "conditional_B", "weights_B"):
        assert torch.equal(getattr(alone, name)[0], getattr(together, name)[2]), name
    other = add_noise(latents[2:3], [7], schedule=SCHEDULE, config=LossConfig(), seed=2)
    assert not torch.equal(other.noisy_BCFHW, alone.noisy_BCFHW)


def test_the_target_is_the_velocity_of_the_noise_that_was_added() -> None:
    latents = torch.randn(16, 4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = add_noise(latents, range(16), schedule=SCHEDULE, config=PLAIN, seed=0)
    back, noise = SCHEDULE.sample_and_noise(batch.target_BCFHW, batch.noisy_BCFHW, batch.t_B)
    assert torch.allclose(back, latents, atol=1e-4)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.05)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(batch.row_losses(batch.target_BCFHW), torch.zeros(16))


def test_place_weights_are_relative() -> None:
    latents = torch.randn(2, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    batch = add_noise(latents, range(2), schedule=SCHEDULE, config=PLAIN, seed=0)
    prediction = torch.zeros_like(latents)
    plain = batch.row_losses(prediction)
    torch.testing.assert_close(batch.row_losses(prediction, torch.full((2, 2, 4, 4), 5.0)), plain)
    weights = torch.ones(2, 2, 4, 4)
    weights[0, 1, 2, 3] = 9.0
    weighted = batch.row_losses(prediction, weights)
    error_FHW = batch.target_BCFHW[0].square().mean(0)
    expected = (error_FHW.sum() + 8 * error_FHW[1, 2, 3]) / (31 + 9)
    torch.testing.assert_close(weighted, torch.stack([expected, plain[1]]))


@pytest.mark.parametrize(("shift", "median", "noisier_half"), [(1.0, 500, 0.5), (4.0, 800, 0.8)])
def test_a_shift_draws_noisier_steps_more_often(shift: float, median: int, noisier_half: float) -> None:
    config = replace(PLAIN, timestep_shift=shift)
    t_B = add_noise(torch.zeros(4000, 1, 1, 1, 1), range(4000), schedule=SCHEDULE, config=config, seed=0).t_B
    assert int(t_B.min()) >= 0
    assert 980 < int(t_B.max()) < SCHEDULE.config.num_train_steps
    assert float(t_B.float().median()) == pytest.approx(median, abs=25)
    assert float((t_B >= 500).float().mean()) == pytest.approx(noisier_half, abs=0.03)


def test_condition_dropout_takes_its_share_of_rows_one_by_one() -> None:
    latents = torch.zeros(1000, 1, 1, 1, 1)
    config = LossConfig(condition_dropout=0.25)
    conditional = add_noise(latents, range(1000), schedule=SCHEDULE, config=config, seed=0).conditional_B
    assert 0.2 < float((~conditional).float().mean()) < 0.3
    assert add_noise(latents, range(1000), schedule=SCHEDULE, config=PLAIN, seed=0).conditional_B.all()


def test_noise_offset_moves_whole_channels() -> None:
    latents = torch.zeros(200, 3, 2, 16, 16)
    with_offset, without = (
        add_noise(
            latents,
            range(200),
            schedule=SCHEDULE,
            config=LossConfig(noise_offset=offset, snr_gamma=None, condition_dropout=0.0),
            seed=0,
        )
        for offset in (0.5, 0.0)
    )
    _, noise = SCHEDULE.sample_and_noise(with_offset.target_BCFHW, with_offset.noisy_BCFHW, with_offset.t_B)
    _, plain = SCHEDULE.sample_and_noise(without.target_BCFHW, without.noisy_BCFHW, without.t_B)
    moved = noise - plain
    # One number for each channel of a row, the same for its frames and pixels.
    assert float((moved - moved.mean((2, 3, 4), keepdim=True)).abs().max()) < 1e-4
    assert float(moved.mean((2, 3, 4)).std()) == pytest.approx(0.5, abs=0.05)


def test_noise_offset_per_frame_is_another_in_each() -> None:
    latents = torch.zeros(100, 2, 3, 8, 8)
    settings = LossConfig(noise_offset=0.5, noise_offset_per_frame=True, snr_gamma=None, condition_dropout=0.0)
    batch = add_noise(latents, range(100), schedule=SCHEDULE, config=settings, seed=0)
    _, noise = SCHEDULE.sample_and_noise(batch.target_BCFHW, batch.noisy_BCFHW, batch.t_B)
    of_frames = noise.mean((3, 4))
    apart = of_frames - of_frames.mean(2, keepdim=True)
    # Pixels alone would leave a deviation of 1 / 8 in the mean of a frame.
    assert float(apart.square().sum(2).mean().div(2).sqrt()) == pytest.approx((0.25 + 1 / 64) ** 0.5, abs=0.05)


def test_parts_are_dropped_one_by_one_but_in_rows_that_keep_or_lose_all() -> None:
    latents = torch.zeros(4000, 1, 1, 1, 1)
    config = LossConfig(condition_dropout=0.1, keep_share=0.1, part_dropout=0.5)
    batch = add_noise(latents, range(4000), schedule=SCHEDULE, config=config, seed=0, num_parts=3)
    kept = batch.kept_BP
    assert kept.shape == (4000, 3)
    assert not kept[~batch.conditional_B].any()
    assert float(kept.float().mean()) == pytest.approx(0.1 + 0.8 * 0.5, abs=0.02)
    assert float(kept.all(1).float().mean()) == pytest.approx(0.1 + 0.8 / 8, abs=0.02)
    assert float(kept[batch.conditional_B].any(1).float().mean()) == pytest.approx(1 - 0.8 / 8 / 0.9, abs=0.02)
    # Which noise and which step a row gets does not depend on it.
    plain = add_noise(latents, range(4000), schedule=SCHEDULE, config=LossConfig(), seed=0)
    assert plain.kept_BP.shape == (4000, 0)
    assert torch.equal(plain.t_B, batch.t_B)
    assert torch.equal(plain.noisy_BCFHW, batch.noisy_BCFHW)


def test_rows_are_weighted_by_their_signal_to_noise_ratio() -> None:
    latents = torch.randn(32, 2, 1, 4, 4)
    config = LossConfig(noise_offset=0.0, snr_gamma=5.0, condition_dropout=0.0)
    weighted = add_noise(latents, range(32), schedule=SCHEDULE, config=config, seed=0)
    plain = add_noise(latents, range(32), schedule=SCHEDULE, config=PLAIN, seed=0)
    prediction = torch.zeros_like(latents)
    expected = plain.row_losses(prediction) * SCHEDULE.min_snr_weights(plain.t_B, gamma=5.0)
    assert torch.allclose(weighted.row_losses(prediction), expected)
    assert float(weighted.weights_B.min()) < 1.0
