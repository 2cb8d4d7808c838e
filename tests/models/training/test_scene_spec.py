from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.compositing.scale import recompose
from models.masks.agnostic import Blocks, agnostic_masks
from models.masks.boxes import bounding_boxes
from models.training.recipe import SceneMask, SceneSamplingConfig
from models.training.sample_spec import SCENE, stream
from models.training.scene_spec import SceneSpec, masks_without_scene, scene_spec

masks_thw = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=20))
rules = st.sampled_from(["agnostic", "box", "exact"])
specs = st.builds(SceneSpec, blocks_seed=st.none() | st.integers(0, 2**63 - 1))


def drawn(config: SceneSamplingConfig, count: int, num_frames: int = 4) -> list[SceneSpec]:
    return [scene_spec(num_frames, config, stream(5, SCENE, number)) for number in range(count)]


@given(masks_thw, rules, specs)
def test_the_scene_never_shows_the_character(masks: np.ndarray, rule: SceneMask, spec: SceneSpec) -> None:
    hidden = masks_without_scene(masks, rule, spec)
    assert not (masks & ~hidden).any()
    x0, y0, x1, y1 = bounding_boxes(masks).T
    assert (hidden.sum(axis=(1, 2)) <= (x1 - x0) * (y1 - y0)).all()


@given(masks_thw, specs)
def test_ablations_are_the_two_ends_of_the_rule(masks: np.ndarray, spec: SceneSpec) -> None:
    assert np.array_equal(masks_without_scene(masks, "exact", spec), masks)
    assert np.array_equal(masks_without_scene(masks, "box", spec), agnostic_masks(masks, Blocks(1, 1)))
    inference = SceneSpec(blocks_seed=None)
    assert np.array_equal(masks_without_scene(masks, "agnostic", inference), agnostic_masks(masks))


@given(masks_thw, rules, st.integers(0, 25))
def test_known_frames_hide_nothing_and_change_no_other(masks: np.ndarray, rule: SceneMask, known: int) -> None:
    before = masks.copy()
    hidden = masks_without_scene(masks, rule, SceneSpec(known_frames=known, blocks_seed=3))
    assert not hidden[:known].any()
    assert np.array_equal(hidden[known:], masks_without_scene(masks, rule, SceneSpec(blocks_seed=3))[known:])
    assert np.array_equal(masks, before)


@pytest.mark.parametrize(("share", "max_scale"), [(0.0, 1.5), (0.3, 1.25), (1.0, 1.25)])
def test_the_mask_falls_short_at_the_stated_rate(share: float, max_scale: float) -> None:
    """A box of 40 × 40: its rim leaves the mask of the original size once it is half a pixel larger."""
    character = np.zeros((1, 100, 80), np.bool_)
    character[:, 50:90, 20:60] = True
    frames, objects = np.zeros((1, 100, 80, 3), np.uint8), np.zeros_like(character)
    short = 0
    for spec in drawn(SceneSamplingConfig(scale_share=share, max_scale=max_scale), 400):
        hidden = masks_without_scene(character, "agnostic", spec)
        large = recompose(frames, character, objects, spec.scale)
        falls_short = bool((large.character_THW & ~hidden).any())
        assert falls_short <= (spec.scale > 1)
        short += falls_short
    assert short / 400 == pytest.approx(share, abs=0.08)


def test_draws_span_their_ranges() -> None:
    specs = drawn(SceneSamplingConfig(scale_share=0.5, max_scale=1.4, known_share=0.25, known_frames=2), 400)
    scales = np.array([spec.scale for spec in specs])
    assert (scales > 1).mean() == pytest.approx(0.5, abs=0.08)
    assert 1.39 < scales.max() <= 1.4
    known = [spec.known_frames for spec in specs]
    assert set(known) == {0, 2}
    assert np.mean([number > 0 for number in known]) == pytest.approx(0.25, abs=0.08)
    assert len({spec.blocks_seed for spec in specs}) == len({spec.background_seed for spec in specs}) == 400


def test_at_least_one_frame_is_left_to_generate() -> None:
    config = SceneSamplingConfig(known_share=1.0, known_frames=3)
    assert [scene_spec(frames, config, stream(0, SCENE, 0)).known_frames for frames in (1, 2, 4, 9)] == [0, 1, 3, 3]


def test_a_draw_does_not_depend_on_other_settings() -> None:
    """Ablations differ in what they ablate alone."""
    plain = drawn(SceneSamplingConfig(scale_share=0.5), 30)
    unscaled = drawn(SceneSamplingConfig(scale_share=0.0, known_share=1.0), 30)
    for one, other in zip(plain, unscaled, strict=True):
        assert (one.blocks_seed, one.background_seed) == (other.blocks_seed, other.background_seed)
