from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from toy_animation import SCENE_NEEDS, ToyConfig, ToyModel, ToyVariant, spec_of

from models.animation.signals import Signal
from models.depth.joint_depth import draw_structured_depth
from stages.animate.signals import SignalsConfig, SignalsStage
from stages.base import Row
from stages.outcome import BadRow


def row(*needs: str, preset: str = "embedded") -> Row:
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(8, 56, (3, 133, 3)).astype(np.float32)
    keypoints[..., 2] = 1
    variant = ToyVariant(needs=frozenset(needs), config=ToyConfig(pose_preset=preset))
    return {
        "reference_keypoints": keypoints[0],
        "skeleton_keypoints": keypoints,
        "driving_frames": rng.integers(0, 255, (3, 20, 10, 3), dtype=np.uint8),
        "driving_keypoints": keypoints + 1,
        "canvas_width_px": 64,
        "canvas_height_px": 80,
        "model_spec": spec_of(ToyModel(variant=variant)),
    }


def signals(one: Row, **own: Signal) -> dict[str, Any]:
    return SignalsStage(SignalsConfig(), own)(one)["signals"]  # type: ignore[no-any-return]


def test_only_needed_signals_are_computed() -> None:
    assert signals(row()) == {}
    one = row("driving_frames", "pose_keypoints")
    made = signals(one)
    assert made.keys() == {"driving_frames", "pose_keypoints"}
    np.testing.assert_array_equal(made["driving_frames"], one["driving_frames"])
    np.testing.assert_array_equal(made["pose_keypoints"], one["skeleton_keypoints"])


def test_reference_pose_is_drawn_in_the_preset_of_the_model() -> None:
    drawn = {
        preset: signals(row("reference_pose", preset=preset))["reference_pose"] for preset in ("embedded", "moore")
    }
    assert drawn["moore"].shape == (80, 64, 3)
    assert drawn["moore"].any()
    assert (drawn["moore"] != drawn["embedded"]).any()


def test_system_specific_signals_are_computed_if_needed() -> None:
    brightness = Signal(compute=lambda base: base["driving_frames"].mean(axis=(1, 2, 3)))
    one = row("brightness")
    made = signals(one, brightness=brightness)
    np.testing.assert_allclose(made["brightness"], one["driving_frames"].mean(axis=(1, 2, 3)))
    assert signals(row(), brightness=brightness) == {}


def test_scene_signals_are_those_of_the_scene() -> None:
    rng = np.random.default_rng(1)
    scene = {
        "scene_frames": rng.integers(1, 255, (3, 80, 64, 3), dtype=np.uint8),
        "agnostic_mask": rng.random((3, 80, 64)) < 0.5,
        "object_mask": rng.random((3, 80, 64)) < 0.3,
        "reference_mask": rng.random((80, 64)) < 0.5,
        "driving_joint_depths": rng.random((3, 133)).astype(np.float32),
    }
    one = {**row(*SCENE_NEEDS), **scene}
    made = signals(one)
    assert made.keys() == SCENE_NEEDS
    for name in ("scene_frames", "agnostic_mask", "object_mask", "reference_mask"):
        assert made[name] is scene[name]
    objects = scene["object_mask"]
    np.testing.assert_array_equal(made["object_frames"][objects], scene["scene_frames"][objects])
    assert not made["object_frames"][~objects].any()
    depth = draw_structured_depth(scene["driving_joint_depths"], one["skeleton_keypoints"], (80, 64))
    np.testing.assert_array_equal(made["structured_depth"], depth)
    assert depth.any()
    assert signals({**row("scene_frames"), **scene}).keys() == {"scene_frames"}


@pytest.mark.parametrize(
    ("applied", "body", "face"), [("both", True, True), ("body", True, False), ("face", False, True)]
)
def test_the_face_is_that_of_its_stage_with_what_controls(applied: str, body: bool, face: bool) -> None:
    pictures = np.zeros((3, 80, 64, 6), np.uint8)
    made = signals({**row("face_control", "controls"), "face_control": pictures, "applied_controls": applied})
    assert made["face_control"] is pictures
    assert made["controls"].dtype == np.bool_
    assert made["controls"].tolist() == [body, face]


def test_signal_error_fails_only_the_row() -> None:
    def refuse(_: object) -> Any:
        raise ValueError("no face in 3 of 3 frames")

    with pytest.raises(BadRow, match="InvalidRow: no face in 3 of 3 frames"):
        signals(row("face"), face=Signal(compute=refuse))
    with pytest.raises(BadRow, match="no signal is named 'face'"):
        signals(row("face"))
