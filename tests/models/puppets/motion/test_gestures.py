from __future__ import annotations

import random

import numpy as np
import pytest

from models.puppets.character.body import Skeleton, solve
from models.puppets.character.sampling import sample_character
from models.puppets.motion.gestures import clear_of_face, greet
from models.puppets.motion.pose import Pose, Side
from models.puppets.spec import CharacterSpec


def _human(seed: int) -> CharacterSpec:
    return sample_character(random.Random(seed), "train", "human")


def _solved(character: CharacterSpec, pose: Pose) -> Skeleton:
    return solve(character, pose, yaw=0.0, camera_pitch=0.0)


@pytest.mark.parametrize("seed", range(8))
def test_a_raised_hand_is_beside_the_head_of_every_build(seed: int) -> None:
    character = _human(seed)
    for phase in np.linspace(0.0, 1.0, 9):
        skeleton = _solved(character, clear_of_face(greet(float(phase), 1.0), character.proportions))
        assert skeleton.arms is not None
        wrist = skeleton.arms[0].wrist
        assert wrist[1] > skeleton.chest[1]
        assert wrist[0] - skeleton.head[0] > 0.8 * character.proportions.head_width


def test_hanging_hands_stay_where_they_are() -> None:
    pose = Pose(left=Side(), right=Side())
    assert clear_of_face(pose, _human(1).proportions) == pose


def test_a_character_without_arms_keeps_its_pose() -> None:
    for seed in range(400):
        character = sample_character(random.Random(seed), "train", "anthropomorphic")
        if not character.proportions.upper_arm:
            assert clear_of_face(greet(0.1, 1.0), character.proportions) == greet(0.1, 1.0)
            return
    raise AssertionError("no character without arms among the seeds")
