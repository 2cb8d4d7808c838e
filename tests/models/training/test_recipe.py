from __future__ import annotations

import pytest

from models.training.recipe import GuardConfig, LossConfig, OptimizerConfig, SamplingConfig, TrainingRecipe


def test_the_learning_rate_warms_up_and_decays() -> None:
    constant = OptimizerConfig(learning_rate=1.0, warmup_steps=4)
    assert [constant.lr_at(step, 100) for step in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    cosine = OptimizerConfig(learning_rate=1.0, warmup_steps=0, decay="cosine", final_share=0.1)
    assert cosine.lr_at(0, 100) == pytest.approx(1.0)
    assert cosine.lr_at(50, 100) == pytest.approx(0.55)
    assert cosine.lr_at(100, 100) == pytest.approx(0.1)


def test_a_batch_divides_among_workers_and_micro_batches() -> None:
    recipe = TrainingRecipe(batch_size=12, accumulation=2)
    assert [recipe.micro_batch(workers) for workers in (1, 2, 3)] == [6, 3, 2]
    with pytest.raises(ValueError, match="batch_size 12 must be a multiple of workers x accumulation = 4 x 2"):
        recipe.micro_batch(4)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (OptimizerConfig, {"learning_rate": 0.0}, "learning_rate > 0"),
        (OptimizerConfig, {"decay": "linear"}, "unknown decay 'linear'"),
        (OptimizerConfig, {"name": "sgd"}, "unknown optimizer 'sgd'"),
        (LossConfig, {"condition_dropout": 1.0}, "condition_dropout must be"),
        (OptimizerConfig, {"lr_multipliers": {"indicator.": 0.0}}, "lr_multipliers must be above 0"),
        (LossConfig, {"keep_share": 0.95}, "keep_share from 0 to 1 - condition_dropout"),
        (LossConfig, {"part_dropout": 1.0}, "part_dropout from 0 to below 1"),
        (LossConfig, {"snr_gamma": 0.0}, "snr_gamma > 0 or null"),
        (LossConfig, {"timestep_shift": 0.0}, "timestep_shift must be above 0"),
        (SamplingConfig, {"height_px": 100}, "multiples of 8"),
        (SamplingConfig, {"num_frames": 0}, "num_frames and frame_step >= 1"),
        (SamplingConfig, {"min_crop_share": 0.0}, "0 < min_crop_share <= 1"),
        (GuardConfig, {"max_ratio": 1.0}, "max_ratio > 1"),
        (TrainingRecipe, {"steps": 0}, "must be at least 1"),
        (TrainingRecipe, {"stage": 0}, "stage must be at least 1"),
        (TrainingRecipe, {"precision": "float16"}, "unknown precision 'float16'"),
        (TrainingRecipe, {"ema_decay": 1.0}, "ema_decay must be"),
    ],
)
def test_invalid_settings_are_refused(kind: type, settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(**settings)
