from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from jobs.engine.config import ConfigError, resolved
from jobs.recipes import animate_x
from jobs.training.config import load
from models.animate_anyone.config import MOORE
from models.animate_x.config import AnimateXConfig
from models.pose.pose_augment import ExplicitIndicatorConfig
from models.puppet_models.animate_anyone.system import PUPPETS as SMALL_ANIMATE_ANYONE
from models.puppet_models.animate_x.system import PUPPETS as SMALL_ANIMATE_X
from models.systems import UnknownModelError
from models.weights.resolve import MissingWeightsError

ANYONE, X = "animate-anyone-puppets", "animate-x-puppets"


def test_defaults_depend_on_model_and_stage() -> None:
    embedded = [load(ANYONE, None, stage=stage).recipe for stage in (1, 2)]
    assert [recipe.sampling.num_frames for recipe in embedded] == [4, 16]
    assert {(recipe.sampling.height_px, recipe.sampling.width_px) for recipe in embedded} == {(192, 144)}
    assert load(ANYONE, None).model.network == SMALL_ANIMATE_ANYONE
    moore = load("animate-anyone", None, stage=2)
    assert moore.model.network == MOORE
    assert load("moore-animate-anyone", None, stage=2) == moore
    assert (moore.recipe.sampling.num_frames, moore.recipe.precision) == (24, "bfloat16")


def test_recipe_overrides_defaults(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("recipe: {stage: 2, loss: {snr_gamma: null}, sampling: {frame_step: 2}, frozen: [denoiser.mid]}\n")
    config = load(ANYONE, path, ["recipe.steps=7", "workers.num=2", "recipe.sampling.num_frames=8"])
    assert config.recipe.stage == 2
    assert config.recipe.loss.snr_gamma is None
    assert config.recipe.loss.condition_dropout == 0.05
    assert (config.recipe.sampling.frame_step, config.recipe.sampling.num_frames) == (2, 8)
    assert config.recipe.sampling.height_px == 192
    assert config.recipe.frozen == ("denoiser.mid",)
    assert (config.recipe.steps, config.workers.num) == (7, 2)
    assert load(ANYONE, path, stage=1).recipe.stage == 1
    # The recipe logged to MLflow is complete and loads as the same configuration.
    path.write_text(yaml.safe_dump(resolved(config)))
    assert load(ANYONE, path) == config


def test_animate_x_recipe_is_the_papers_and_the_embedded_one_has_one_learning_rate() -> None:
    embedded = load(X, None)
    assert embedded.model.network == SMALL_ANIMATE_X
    assert embedded.recipe.optimizer.lr_multipliers == {}
    assert embedded.recipe.sampling.explicit_indicator == ExplicitIndicatorConfig()
    released = load("animate-x", None).recipe
    assert (released.sampling.num_frames, released.optimizer.learning_rate) == (32, 5e-5)
    assert released.optimizer.lr_multipliers == {"indicator.": 0.01}
    assert (released.loss.condition_dropout, released.loss.keep_share, released.loss.part_dropout) == (0.1, 0.1, 0.5)
    assert load("unianimate", None).recipe.optimizer.lr_multipliers == {}


INDICATOR = SMALL_ANIMATE_X.indicator
assert INDICATOR is not None
CHANGES = ExplicitIndicatorConfig()


@pytest.mark.parametrize(
    ("recipe", "network", "changes"),
    [
        (
            "model: {network: {indicator: null, unet: {pose_attention: null}}}",
            replace(SMALL_ANIMATE_X, indicator=None, unet=replace(SMALL_ANIMATE_X.unet, pose_attention=None)),
            CHANGES,
        ),
        (
            "model: {network: {indicator: {learned_query: false}}}",
            replace(SMALL_ANIMATE_X, indicator=replace(INDICATOR, learned_query=False)),
            CHANGES,
        ),
        (
            "model: {network: {indicator: {keypoint_query: false}}}",
            replace(SMALL_ANIMATE_X, indicator=replace(INDICATOR, keypoint_query=False)),
            CHANGES,
        ),
        ("recipe: {sampling: {explicit_indicator: null}}", None, None),
        *(
            (
                f"recipe: {{sampling: {{explicit_indicator: {{{name}: {value}}}}}}}",
                None,
                replace(CHANGES, **{name: off}),
            )
            for name, value, off in (
                ("realign", "false", False),
                ("rescale_probability", "0", 0.0),
                ("legs", "null", None),
                ("add_probability", "0", 0.0),
                ("drop_probability", "0", 0.0),
            )
        ),
    ],
)
def test_an_ablation_is_one_setting_and_changes_nothing_else(
    tmp_path: Path, recipe: str, network: AnimateXConfig | None, changes: ExplicitIndicatorConfig | None
) -> None:
    assert recipe in (animate_x.__doc__ or "") or "legs" in recipe
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe)
    full, found = load(X, None), load(X, path)
    assert found.model == replace(full.model, network=network or SMALL_ANIMATE_X)
    expected = replace(full.recipe.sampling, explicit_indicator=changes)
    assert found.recipe == replace(full.recipe, sampling=expected)
    # The recipe logged to MLflow loads as the same configuration.
    path.write_text(yaml.safe_dump(resolved(found)))
    assert load(X, path) == found


def test_missing_published_weights_are_named(tmp_path: Path) -> None:
    for name, words in (
        ("animate-x", "v2-1_512-ema-pruned.ckpt"),
        ("animate-anyone", "sd-vae-ft-mse"),
    ):
        config = load(name, None, [f"model.encoders={tmp_path}"])
        with pytest.raises(MissingWeightsError, match=words):
            config.model.load_encoders()


def test_rejects_a_conflicting_model_name() -> None:
    with pytest.raises(ConfigError, match=r"model\.name is 'musepose', but the command trains animate-x-puppets"):
        load(X, None, ["model.name=musepose"])
    with pytest.raises(UnknownModelError, match="did you mean animate-x"):
        load("animatex", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recipe: {learning_rate: 1}", "recipe.learning_rate: no such key"),
        ("recipe: {optimizer: {learning_rat: 1}}", "did you mean learning_rate?"),
        ("prepare: {}", "prepare: no such key"),
        ("model: {size: huge}", "model.size: no such key"),
        ("model: {network: 7}", "model.network: expected a mapping, got 7"),
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
def test_invalid_recipe_error_names_the_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(ANYONE, path)
    assert words in str(caught.value)
