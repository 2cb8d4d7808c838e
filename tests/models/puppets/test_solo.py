from __future__ import annotations

import math

import pytest

from models.puppets import PuppetVideoSpec, sample_figure
from models.puppets.render import pose_at

SEEDS = range(40, 60)


@pytest.fixture(scope="module", params=[False, True])
def figures(request: pytest.FixtureRequest) -> list[PuppetVideoSpec]:
    return [sample_figure(seed, improvised=request.param) for seed in SEEDS]


def test_they_are_whole_and_alone_before_a_camera_that_stands_still(figures: list[PuppetVideoSpec]) -> None:
    for figure in figures:
        (shot,) = figure.shots
        assert shot.scale <= 1.0
        assert (shot.pan, shot.sway, shot.zoom) == (0.0, 0.0, 0.0)
        assert figure.objects == ()


def test_they_begin_with_the_face(figures: list[PuppetVideoSpec]) -> None:
    for figure in figures:
        (shot,) = figure.shots
        assert math.cos(figure.motion.yaw + shot.yaw_offset + pose_at(figure, shot, 0.0).yaw) > 0.5


def test_each_seed_draws_another_of_what_was_asked() -> None:
    assert sample_figure(3) == sample_figure(3)
    figures = {sample_figure(seed, split="heldout", body="human", size_px=(64, 96)) for seed in SEEDS}
    assert len(figures) == len(SEEDS)
    assert {(figure.split, figure.character.body, figure.height_px, figure.width_px) for figure in figures} == {
        ("heldout", "human", 64, 96)
    }
    assert all(sample_figure(seed, improvised=True).motion.name == "improvise" for seed in SEEDS)
