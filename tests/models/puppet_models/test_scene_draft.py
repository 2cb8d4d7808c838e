from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from tiny_systems import request

from models.animation.signals import AGNOSTIC_MASK, OBJECT_MASK, SCENE_FRAMES
from models.puppet_models.scene_draft import SceneDraft, uncovered


@given(missing=arrays(np.bool_, (5, 6, 7)), seed=st.integers(0, 100))
def test_a_still_scene_is_restored_where_a_frame_shows_it(missing: NDArray[np.bool_], seed: int) -> None:
    missing[:, 0, 0] = False  # some pixel of every frame is visible
    picture = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    frames = np.where(missing[..., None], np.uint8(0), picture[None])
    filled = uncovered(frames, missing)
    once = ~missing.all(axis=0)
    for frame, hidden, restored in zip(frames, missing, filled, strict=True):
        np.testing.assert_array_equal(restored[~hidden], frame[~hidden])
        np.testing.assert_array_equal(restored[once], picture[once])


def test_a_scene_that_no_frame_shows_is_grey() -> None:
    assert (uncovered(np.zeros((2, 4, 4, 3), np.uint8), np.ones((2, 4, 4), bool)) == 128).all()


def draft(**changes: NDArray[Any]) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
    inputs = request(6)
    signals = {**inputs.signals, **changes}
    clip = type(inputs)(reference_HWC=inputs.reference_HWC, pose_THWC=inputs.pose_THWC, seed=0, signals=signals).clip(6)
    return np.concatenate(list(SceneDraft(clip, batch=4).pictures(0))), signals


def test_the_draft_is_the_scene_with_the_character_and_objects_before_it() -> None:
    pictures, signals = draft()
    frames, objects = signals[SCENE_FRAMES], signals[OBJECT_MASK]
    assert pictures.shape == frames.shape
    np.testing.assert_array_equal(pictures[objects], frames[objects])
    outside = ~signals[AGNOSTIC_MASK]
    assert (pictures[outside] == frames[outside]).mean() > 0.5
    assert (pictures != frames).any()


def test_a_frame_of_which_nothing_is_missing_is_given_whole() -> None:
    missing = request(6).signals[AGNOSTIC_MASK].copy()
    missing[2] = False
    pictures, signals = draft(**{AGNOSTIC_MASK: missing})
    np.testing.assert_array_equal(pictures[2], signals[SCENE_FRAMES][2])
    assert (pictures[3] != signals[SCENE_FRAMES][3]).any()
