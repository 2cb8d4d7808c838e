from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest

from jobs.cards.animation import write_card
from jobs.cards.measures import STORED
from jobs.evaluation.heldout import HeldoutAnimation, HeldoutConfig, animate_heldout, animation_scores
from jobs.recipes.table import RECIPES
from jobs.training.publish import heldout_scores
from models.animation.animator import Animation, AnimationInputs, OnStep
from models.perception.embedded import EmbeddedFigure
from models.systems import SYSTEMS, find_model, model_names
from models.weights.resolve import shipped_path

HELDOUT = HeldoutConfig(num_pairs=2, size_px=(128, 128), duration_seconds=0.5)


class Repeat:
    """Animator that repeats the reference and records its inputs."""

    def __init__(self) -> None:
        self.given: list[AnimationInputs] = []

    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        self.given.append(inputs)
        return Animation(frames_THWC=np.repeat(inputs.reference_HWC[None], len(inputs.pose_THWC), axis=0))


@pytest.fixture(scope="module")
def animations() -> list[HeldoutAnimation]:
    return list(animate_heldout(Repeat(), find_model("animate-anyone-puppets"), HELDOUT))


def test_heldout_inputs_equal_those_of_animate(animations: list[HeldoutAnimation]) -> None:
    again = Repeat()
    first = next(animate_heldout(again, find_model("animate-anyone-puppets"), HELDOUT))
    assert np.array_equal(first.truth_THWC, animations[0].truth_THWC)
    assert np.array_equal(first.reference_HWC, first.truth_THWC[0])
    assert first.skeletons_THWC.shape == first.driving_THWC.shape == first.truth_THWC.shape == (4, 128, 128, 3)
    assert first.skeletons_THWC.any(axis=(1, 2, 3)).all()
    (inputs,) = again.given
    reference_pose = inputs.signals["reference_pose"]
    assert reference_pose.any()
    # The retargeted skeleton has the reference's proportions and starts at its position.
    drawn, reference = first.skeletons_THWC[0].max(2) > 0, reference_pose.max(2) > 0
    (y, x), (reference_y, reference_x) = (np.argwhere(mask).mean(0) for mask in (drawn, reference))
    assert abs(y - reference_y) < 6
    assert abs(x - reference_x) < 6


def test_scores_of_ground_truth_exceed_those_of_the_repeated_reference(animations: list[HeldoutAnimation]) -> None:
    figure = EmbeddedFigure()
    repeated = animation_scores(iter(animations), figure)
    assert repeated["psnr_gain_db"] == 0
    assert repeated["keypoints"] == repeated["keypoints_repeat"]
    assert repeated["keypoints_repeat"] < repeated["keypoints_skeleton"] < 1
    perfect = animation_scores((replace(one, animation_THWC=one.truth_THWC) for one in animations), figure)
    assert perfect["psnr_db"] == perfect["clip_psnr_db"] == 100
    assert perfect["keypoints"] == perfect["keypoints_truth"] > 0.9
    noise = np.random.default_rng(0).integers(0, 256, animations[0].truth_THWC.shape, dtype=np.uint8)
    assert animation_scores((replace(one, animation_THWC=noise) for one in animations), figure)["keypoints"] < 0.5


def test_every_system_has_a_recipe_and_every_embedded_model_a_card() -> None:
    assert RECIPES.keys() == SYSTEMS.keys()
    for system in SYSTEMS.values():
        if any(variant.ships for variant in system.variants.values()):
            assert RECIPES[system.name].card is not None


@pytest.mark.parametrize("name", [name for name in model_names() if find_model(name).variant.ships])
def test_cards_match_their_checkpoints(name: str, tmp_path: Path) -> None:
    model = find_model(name)
    checkpoint, card = shipped_path(model.variant.weights), RECIPES[model.system.name].card
    assert card is not None
    copy = tmp_path / checkpoint.name
    copyfile(checkpoint, copy)
    copyfile(checkpoint.with_name(STORED), tmp_path / STORED)
    write_card(copy, card)
    assert (checkpoint.parent / "CARD.md").read_text() == (tmp_path / "CARD.md").read_text()


def scores_of(name: str, config: HeldoutConfig) -> dict[str, float]:
    return heldout_scores(find_model(name).network(None), config, find_model(name))


@pytest.mark.nightly
def test_embedded_checkpoint_animates_held_out_puppets() -> None:
    """Uses fewer pairs than the card, and other ones."""
    scores = scores_of("animate-anyone-puppets", HeldoutConfig(setting="exact", num_pairs=4, first_seed=300))
    assert scores["psnr_gain_db"] > 2.5
    assert scores["keypoints"] > max(0.85, scores["keypoints_repeat"])


@pytest.mark.nightly
def test_animate_x_outperforms_animate_anyone_on_misfit_skeletons() -> None:
    """Tests the paper's claim on fewer pairs than the card, and other ones."""
    config = HeldoutConfig(setting="rescaled", num_pairs=4, first_seed=300)
    scores = scores_of("animate-x-puppets", config)
    assert scores["psnr_gain_db"] > 0.5
    others = scores_of("animate-anyone-puppets", config)
    assert scores["clip_psnr_db"] > others["clip_psnr_db"] + 1
    assert scores["keypoints"] > others["keypoints"] + 0.1
