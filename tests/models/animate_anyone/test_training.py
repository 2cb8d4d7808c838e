from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_systems import new_recipe, new_task, tiny_model

MODEL = tiny_model("animate-anyone")


@pytest.mark.parametrize("stage", [1, 2])
def test_stage_2_trains_the_temporal_layers_and_stage_1_everything_else_without_them(stage: int) -> None:
    task = new_task(MODEL, new_recipe(MODEL, stage))
    assert task.network.denoiser.temporal == (stage == 2)
    for name, _ in task.network.named_parameters():
        assert task.learns(name) == ((".motion_modules." in name) == (stage == 2)), name


@pytest.mark.parametrize(
    ("stage", "num_frames", "words"),
    [
        (3, 4, "trained in stages 1 and 2, got 3"),
        (2, 1, r"stage 2 trains on clips, got sampling\.num_frames 1"),
        (2, 17, "num_frames is 17, the temporal layers have positions for 16"),
    ],
)
def test_recipes_that_the_network_cannot_be_trained_with_are_refused(stage: int, num_frames: int, words: str) -> None:
    recipe = new_recipe(MODEL, 2)
    recipe = replace(recipe, stage=stage, sampling=replace(recipe.sampling, num_frames=num_frames))
    with pytest.raises(ValueError, match=words):
        new_task(MODEL, recipe)
