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
    filled = uncovered(frames, missing, np.zeros_like(missing))
    once = ~missing.all(axis=0)
    for frame, hidden, restored in zip(frames, missing, filled, strict=True):
        np.testing.assert_array_equal(restored[~hidden], frame[~hidden])
        np.testing.assert_array_equal(restored[once], picture[once])


@given(objects=arrays(np.bool_, (5, 6, 7)), missing=arrays(np.bool_, (5, 6, 7)), seed=st.integers(0, 100))
def test_moving_objects_leave_no_trace_and_still_ones_are_restored(
    objects: NDArray[np.bool_], missing: NDArray[np.bool_], seed: int
) -> None:
    scenery, thing = np.random.default_rng(seed).integers(0, 80, (2, 6, 7, 3), dtype=np.uint8)
    thing += 170
    frames = np.where(objects[..., None], thing, scenery)
    filled = uncovered(np.where(missing[..., None], np.uint8(7), frames), missing, objects)
    still = (~missing & objects).sum(axis=0) > 2
    scenic = (~missing & ~objects).any(axis=0) & ~still
    for frame, hidden, restored in zip(frames, missing, filled, strict=True):
        np.testing.assert_array_equal(restored[~hidden], frame[~hidden])
        np.testing.assert_array_equal(restored[hidden & still], thing[hidden & still])
        np.testing.assert_array_equal(restored[hidden & scenic], scenery[hidden & scenic])
        if not still.any():
            assert (restored[hidden] < 160).all()  # grey, 128, where nothing is known


def test_only_frames_nearby_fill_a_hidden_pixel() -> None:
    frames = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], (60, 2, 2, 3)).copy()
    missing = np.zeros((60, 2, 2), bool)
    missing[30] = missing[5] = True
    filled = uncovered(frames, missing, np.zeros_like(missing))
    assert (filled[30] == round((sum(range(14, 47)) - 30) / 32)).all()
    assert (filled[5] == round((sum(range(22)) - 5) / 21)).all()


def test_a_scene_that_no_frame_shows_is_grey() -> None:
    assert (uncovered(np.zeros((2, 4, 4, 3), np.uint8), *np.ones((2, 2, 4, 4), bool)) == 128).all()


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
