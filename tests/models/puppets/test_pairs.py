from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.puppets import render_frame, sample_pair

WRISTS = [9, 10]


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
