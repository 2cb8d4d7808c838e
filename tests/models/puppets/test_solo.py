from __future__ import annotations

import math

import pytest

from models.puppets import PuppetVideoSpec, sample_figure
from models.puppets.render import pose_at

SEEDS = range(40, 60)


@pytest.fixture(scope="module", params=[False, True])
def figures(request: pytest.FixtureRequest) -> list[PuppetVideoSpec]:
    return [sample_figure(seed, improvised=request.param) for seed in SEEDS]


def test_figures_are_full_body_without_objects_and_with_a_static_camera(figures: list[PuppetVideoSpec]) -> None:
    for figure in figures:
        (shot,) = figure.shots
        assert shot.scale <= 1.0
        assert (shot.pan, shot.sway, shot.zoom) == (0.0, 0.0, 0.0)
        assert figure.objects == ()


def test_figures_face_the_camera_in_the_first_frame(figures: list[PuppetVideoSpec]) -> None:
    for figure in figures:
        (shot,) = figure.shots
        assert math.cos(figure.motion.yaw + shot.yaw_offset + pose_at(figure, shot, 0.0).yaw) > 0.5


def test_seeds_give_different_figures_of_the_requested_kind() -> None:
    assert sample_figure(3) == sample_figure(3)
    figures = {sample_figure(seed, split="heldout", body="human", size_px=(64, 96)) for seed in SEEDS}
    assert len(figures) == len(SEEDS)
    assert {(figure.split, figure.character.body, figure.height_px, figure.width_px) for figure in figures} == {
        ("heldout", "human", 64, 96)
    }
    assert all(sample_figure(seed, improvised=True).motion.name == "improvise" for seed in SEEDS)
