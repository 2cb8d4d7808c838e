from __future__ import annotations

import numpy as np
import pytest
from toy_animation import scene_model, spec_of

from models.masks.agnostic import agnostic_masks
from stages.animate.scene import SceneConfig, SceneStage
from stages.base import Row


@pytest.fixture
def row() -> Row:
    rng = np.random.default_rng(0)
    mask, objects = np.zeros((3, 80, 120), bool), np.zeros((3, 40, 60), bool)
    mask[:2, 20:60, 30:50] = True
    objects[:, 10:20, 30:40] = True
    return {
        "driving_frames": rng.integers(0, 255, (3, 160, 240, 3), dtype=np.uint8),
        "driving_mask": mask,
        "driving_objects": objects,
        "model_spec": spec_of(scene_model()),
        "canvas_width_px": 120,
        "canvas_height_px": 80,
        "character_scale": None,
        "offset_x": None,
        "offset_y": None,
    }


def test_frames_and_masks_have_the_canvass_size(row: Row) -> None:
    made = SceneStage(SceneConfig())(row)
    assert made["scene_frames"].shape == (3, 80, 120, 3)
    np.testing.assert_array_equal(made["agnostic_mask"], agnostic_masks(row["driving_mask"]))
    assert not made["agnostic_mask"][2].any()
    expected = row["driving_objects"].repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(made["object_mask"], expected)


def test_a_moved_character_hides_both_places(row: Row) -> None:
    plain = SceneStage(SceneConfig())(row)["agnostic_mask"]
    moved = SceneStage(SceneConfig())({**row, "offset_x": 0.4, "character_scale": 1.2})["agnostic_mask"]
    assert (moved >= plain).all()
    assert moved[0, 50, 39 + 48]
    assert not plain[0, 50, 39 + 48]
    assert not moved[2].any()


def test_without_objects_their_mask_is_empty(row: Row) -> None:
    made = SceneStage(SceneConfig())({**row, "driving_objects": None})
    assert made["object_mask"].shape == (3, 80, 120)
    assert not made["object_mask"].any()


def test_other_models_have_no_scene(row: Row) -> None:
    made = SceneStage(SceneConfig())({**row, "model_spec": spec_of()})
    assert [made[name] for name in ("scene_frames", "agnostic_mask", "object_mask")] == [None] * 3
