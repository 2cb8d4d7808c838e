from __future__ import annotations

from pathlib import Path

import pytest

from jobs.config import ConfigError, resolved
from jobs.training.config import load
from models.animate_anyone.config import EMBEDDED, MOORE


def test_defaults_go_with_the_size_and_the_stage() -> None:
    embedded = [load(None, stage=stage).recipe for stage in (1, 2)]
    assert [recipe.sampling.num_frames for recipe in embedded] == [4, 16]
    assert {recipe.sampling.height_px for recipe in embedded} == {128}
    assert load(None).model.shape == EMBEDDED
    moore = load(None, ["model.size=moore"], stage=2)
    assert moore.model.shape == MOORE
    assert (moore.recipe.sampling.num_frames, moore.recipe.precision) == (24, "bfloat16")


def test_a_recipe_says_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("recipe: {stage: 2, loss: {snr_gamma: null}, sampling: {frame_step: 2}, frozen: [denoiser.mid]}\n")
    config = load(path, ["recipe.steps=7", "workers.num=2", "recipe.sampling.num_frames=8"])
    assert config.recipe.stage == 2
    assert config.recipe.loss.snr_gamma is None
    assert config.recipe.loss.condition_dropout == 0.05
    assert (config.recipe.sampling.frame_step, config.recipe.sampling.num_frames) == (2, 8)
    assert config.recipe.sampling.height_px == 128
    assert config.recipe.frozen == ("denoiser.mid",)
    assert (config.recipe.steps, config.workers.num) == (7, 2)
    assert load(path, stage=1).recipe.stage == 1
    # What MLflow gets is a recipe that says everything, and reads back as the same.
    import yaml

    path.write_text(yaml.safe_dump(resolved(config)))
    assert load(path) == config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recipe: {learning_rate: 1}", "recipe.learning_rate: no such key"),
        ("recipe: {optimizer: {learning_rat: 1}}", "did you mean learning_rate?"),
        ("prepare: {}", "prepare: no such key"),
        ("model: {size: huge}", "model.size"),
        ("model: {network: {unet: {width: [1]}}}", "model.network.unet.width: no such key; did you mean widths?"),
        ("recipe: {steps: many}", "recipe.steps: got 'many'"),
        ("recipe: [1]", "expected mappings"),
        ("- 1", "got a list, expected a mapping with model, recipe, data"),
        ("recipe: {batch_size: 3}\nworkers: {num: 2}", "batch_size 3 must be a multiple of workers x accumulation"),
        ("workers: {strategy: zero}", "workers.strategy"),
        ("checkpoints: {keep: 0}", "every_steps and keep >= 1"),
        ("sample_videos: {num_videos: 0}", "num_videos and num_frames >= 1"),
        ("data: {workers: 0}", "expected workers"),
    ],
)
def test_a_bad_recipe_is_refused_by_its_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert words in str(caught.value)
