from __future__ import annotations

import numpy as np
import pytest
from puppet_media import puppet_frames
from toy_animation import scene_model, spec_of

from models.perception.embedded import EmbeddedFigure
from models.pose.extent import character_size_px
from models.pose.skeleton import INDEX, scale_keypoints
from stages.animate.skeleton import SkeletonConfig, SkeletonStage
from stages.base import Row


@pytest.fixture(scope="module")
def row() -> Row:
    figure = EmbeddedFigure()
    return {
        "driving_keypoints": figure.keypoints(puppet_frames(8, num_frames=3)),
        "driving_width_px": 96,
        "driving_height_px": 128,
        "reference_keypoints": figure.keypoints(puppet_frames(3, num_frames=1))[0],
        "canvas_width_px": 64,
        "canvas_height_px": 80,
        "model_spec": spec_of(),
        "retarget": None,
    }


def test_the_driving_motion_is_drawn_at_the_output_size(row: Row) -> None:
    made = SkeletonStage(SkeletonConfig())(row)
    assert made["skeleton_frames"].shape == (3, 80, 64, 3)
    assert made["skeleton_frames"].any(axis=(1, 2, 3)).all()
    assert made["retarget_rule"] == "limbs"


def test_reference_without_skeleton_uses_a_coarser_rule(row: Row) -> None:
    blank = np.zeros((133, 3), np.float32)
    made = SkeletonStage(SkeletonConfig())({**row, "reference_keypoints": blank})
    assert made["retarget_rule"] == "frame"
    assert made["skeleton_frames"].any()
    assert made["retarget_fallbacks"] == ["retarget_rule=frame: no limbs in common"]
    assert made["retarget_limb_scales"] == {}
    assert made["retarget_plausibility"] is None


def test_scales_offset_and_fit_are_stated(row: Row) -> None:
    driving = row["driving_keypoints"]
    moved = driving * np.float32([2, 2, 1]) + np.float32([5, 7, 0])
    made = SkeletonStage(SkeletonConfig())(
        {**row, "reference_keypoints": moved[0], "canvas_width_px": 200, "canvas_height_px": 270}
    )
    assert made["retarget_fallbacks"] == []
    assert made["retarget_scale"] == pytest.approx(2)
    assert set(made["retarget_limb_scales"]) > {"shoulders", "thighs", "head"}
    assert list(made["retarget_limb_scales"].values()) == pytest.approx([2] * len(made["retarget_limb_scales"]))
    assert (made["retarget_offset_x_px"], made["retarget_offset_y_px"]) == (pytest.approx(5), pytest.approx(7))
    assert made["retarget_plausibility"] == pytest.approx(1, abs=0.02)
    assert (made["retarget_outside_share"], made["retarget_max_outside_px"]) == (0, 0)
    assert made["retarget_start_offset_px"] == pytest.approx(0, abs=0.1)
    assert made["retarget_ground_gap_px"] == pytest.approx(0, abs=5)


def test_published_rules_state_no_scale_of_their_own(row: Row) -> None:
    made = SkeletonStage(SkeletonConfig())({**row, "retarget": "musepose"})
    assert made["retarget_rule"] == "musepose"
    assert (made["retarget_scale"], made["retarget_offset_x_px"], made["retarget_limb_scales"]) == (None, None, {})
    assert made["retarget_plausibility"] > 0
    without_hips = row["reference_keypoints"].copy()
    without_hips[11:13] = 0
    made = SkeletonStage(SkeletonConfig())({**row, "retarget": "musepose", "reference_keypoints": without_hips})
    assert made["retarget_rule"] == "limbs"
    assert made["retarget_fallbacks"][0].startswith("retarget_rule=limbs: musepose needs neck, shoulders and hips")


def test_the_request_overrides_the_rule(row: Row) -> None:
    stage = SkeletonStage(SkeletonConfig())
    made = stage({**row, "retarget": "frame"})
    assert made["retarget_rule"] == "frame"
    assert not np.array_equal(made["skeleton_frames"], stage(row)["skeleton_frames"])


@pytest.fixture
def scene_row(row: Row) -> Row:
    placement = dict.fromkeys(("character_scale", "offset_x", "offset_y"))
    mask = np.ones((3, 128, 96), bool)
    return {**row, "model_spec": spec_of(scene_model()), "driving_mask": mask, "driving_objects": None, **placement}


def lowest(keypoints: np.ndarray) -> np.ndarray:
    return np.where(keypoints[:, :23, 2] > 0.3, keypoints[:, :23, 1], -np.inf).max(axis=1)


def test_in_a_scene_the_character_stands_where_the_driving_one_does(scene_row: Row) -> None:
    stage = SkeletonStage(SkeletonConfig())
    made = stage(scene_row)
    assert (made["retarget_rule"], made["placement_rule"]) == ("limbs", "feet")
    driving = scale_keypoints(scene_row["driving_keypoints"], (128, 96), (80, 64))
    np.testing.assert_allclose(lowest(made["skeleton_keypoints"]), lowest(driving), atol=0.05)
    moved = stage({**scene_row, "character_scale": 0.5, "offset_x": 0.25, "offset_y": -0.1})
    np.testing.assert_allclose(lowest(moved["skeleton_keypoints"]), lowest(driving) - 8, atol=0.05)
    ratio = character_size_px(moved["skeleton_keypoints"]) / character_size_px(made["skeleton_keypoints"])
    assert ratio == pytest.approx(0.5, rel=1e-3)
    # The driving character stands there, not that of the picture.
    positions = ("retarget_offset_x_px", "retarget_offset_y_px", "retarget_start_offset_px", "retarget_ground_gap_px")
    assert [made[name] for name in positions] == [None] * 4
    assert moved["retarget_scale"] == pytest.approx(made["retarget_scale"] / 2)
    assert moved["retarget_plausibility"] == pytest.approx(made["retarget_plausibility"], rel=0.05)


def test_in_a_scene_the_character_sits_where_the_driving_one_does(scene_row: Row) -> None:
    """On an object that stays, whatever the size of its masks; without one, or behind one, it stands on the ground."""
    hips, knees, ankles = ([INDEX[f"left_{joint}"], INDEX[f"right_{joint}"]] for joint in ("hip", "knee", "ankle"))
    driving = scene_row["driving_keypoints"].copy()
    driving[:, hips, 1] = driving[:, knees, 1] - 0.2 * (driving[:, ankles, 1] - driving[:, knees, 1])
    seat = np.zeros((3, 64, 48), bool)
    seat[:, ::3] = True
    stage, row = SkeletonStage(SkeletonConfig()), {**scene_row, "driving_keypoints": driving}
    made = stage({**row, "driving_objects": seat})
    assert made["placement_rule"] == "seat"
    wanted = scale_keypoints(driving, (128, 96), (80, 64))[:, hips, 1].mean(axis=1)
    np.testing.assert_allclose(made["skeleton_keypoints"][:, hips, 1].mean(axis=1), wanted, atol=0.05)
    for objects in (None, ~seat):
        assert stage({**row, "driving_objects": objects})["placement_rule"] == "feet"


def test_frames_that_stay_as_they_are_have_no_skeleton(scene_row: Row) -> None:
    mask = scene_row["driving_mask"].copy()
    mask[1] = False
    made = SkeletonStage(SkeletonConfig())({**scene_row, "driving_mask": mask})
    assert made["skeleton_frames"].any(axis=(1, 2, 3)).tolist() == [True, False, True]


def test_other_models_are_not_placed(row: Row) -> None:
    assert SkeletonStage(SkeletonConfig())(row)["placement_rule"] is None


def test_rejects_an_unknown_rule() -> None:
    with pytest.raises(ValueError, match="unknown rule 'magic', expected one of limbs"):
        SkeletonConfig(rule="magic")  # type: ignore[arg-type]
