from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.puppets import INTERACTIONS, Interaction, render_frame, sample_pair, sample_scene_pair
from models.puppets.scene.interactions import hands_on_objects

NOSE = 0
WRISTS = [9, 10]
ANKLES = [15, 16]


@pytest.mark.parametrize("seed", range(4))
def test_both_characters_perform_the_same_motion_and_differ(seed: int) -> None:
    pair = sample_pair(seed, body="human", size_px=(96, 96))
    assert pair.target.motion == pair.driving.motion
    assert pair.target.character.recipe != pair.driving.character.recipe
    assert not pair.target.objects
    assert not pair.driving.objects
    moments = [0.0, 0.7, 1.6]
    moved = []
    for spec in (pair.target, pair.driving):
        places = np.stack([render_frame(spec, moment).keypoints[WRISTS, :2] for moment in moments])
        moved.append(np.diff(places, axis=0).ravel())
    assert np.corrcoef(*moved)[0, 1] > 0.6


def test_pairs_have_a_static_camera_and_full_bodies() -> None:
    for seed in range(12):
        pair = sample_pair(seed, size_px=(64, 64))
        for spec in (pair.target, pair.driving):
            (shot,) = spec.shots
            assert (shot.pan, shot.sway, shot.zoom) == (0.0, 0.0, 0.0)
            assert shot.scale <= 1.0


def test_the_same_seed_gives_the_same_pair() -> None:
    assert sample_pair(3) == sample_pair(3)
    assert sample_pair(3) != sample_pair(4)


def test_same_place_pairs_differ_only_in_proportions() -> None:
    pair = sample_pair(5, body="anthropomorphic", same_place=True)
    (target,), (driving,) = pair.target.shots, pair.driving.shots
    assert replace(driving, scenery=target.scenery) == target
    assert driving.scenery != target.scenery
    assert pair.driving.character.body == "human"
    assert pair.driving.motion == pair.target.motion


@pytest.mark.parametrize("kind", INTERACTIONS)
def test_scene_pairs_differ_only_where_a_character_is(kind: Interaction) -> None:
    for seed in range(2):
        pair = sample_scene_pair(seed, size_px=(96, 72), kind=kind)
        for seconds in (0.0, 0.8, 1.5):
            driving, target = render_frame(pair.driving, seconds), render_frame(pair.target, seconds)
            characters = driving.character_mask | target.character_mask
            for name, mask in driving.object_masks.items():
                assert np.array_equal(mask & ~characters, target.object_masks[name] & ~characters)
                np.testing.assert_array_equal(driving.depth[mask & ~characters], target.depth[mask & ~characters])
            shown = characters | np.any([*driving.object_masks.values()], axis=0)
            near = cv2.dilate(shown.astype(np.uint8), np.ones((5, 5))) > 0
            standing = max(frame.keypoints[ANKLES, 1].max() for frame in (driving, target))
            near[int(standing) - 8 :] = True  # shadows
            assert (~near).mean() > 0.3
            np.testing.assert_array_equal(driving.rgb[~near], target.rgb[~near])
            assert (driving.rgb[near] != target.rgb[near]).any()


def test_scene_pairs_show_the_target_alone_elsewhere_and_facing_the_camera() -> None:
    for seed in range(8):
        pair = sample_scene_pair(seed, size_px=(64, 64))
        assert pair.reference.character == pair.target.character
        assert pair.target.character.recipe != pair.driving.character.recipe
        assert pair.reference.shots[0].scenery.kind != pair.driving.shots[0].scenery.kind
        assert not pair.reference.objects
        assert {spec.split for spec in (pair.driving, pair.target, pair.reference)} == {"heldout"}
        assert render_frame(pair.reference, 0.0).keypoints[NOSE, 2] == 2
        unchanged = replace(pair.target, character=pair.driving.character, carrier=None)
        assert unchanged == pair.driving
    assert sample_scene_pair(3) == sample_scene_pair(3)


@pytest.mark.parametrize("kind", ["held", "thrown", "passed", "passed_around"])
def test_both_characters_of_a_scene_pair_have_their_hands_at_the_objects(kind: Interaction) -> None:
    for seed in range(4):
        pair = sample_scene_pair(seed, size_px=(96, 96), kind=kind)
        hands = [WRISTS[hand] for hand in hands_on_objects(pair.target)]
        for seconds in (0.1, 0.9):
            first, second = (render_frame(spec, seconds).keypoints[hands, :2] for spec in (pair.driving, pair.target))
            np.testing.assert_allclose(first, second, atol=0.03 * 96)
