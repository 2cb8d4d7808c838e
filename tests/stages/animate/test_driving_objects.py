from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from toy_animation import ToyModel, ToyVariant, scene_model, spec_of

from models.masks.rle import decode
from models.perception.prompts import ObjectPrompt
from stages.animate.driving_objects import DrivingObjectsStage
from stages.base import Row
from stages.outcome import BadRow
from stages.prepare.object_masks import ObjectMasksConfig

SPEC = spec_of(scene_model())


class Boxes:
    """Tracker whose masks are the prompted boxes, in all frames; empty for boxes of one pixel."""

    def track_all(self, frames_THWC: np.ndarray, objects: list[list[ObjectPrompt]]) -> np.ndarray:
        masks = np.zeros((len(objects), *frames_THWC.shape[:3]), bool)
        for mask, (prompt, *_) in zip(masks, objects, strict=True):
            assert prompt.box is not None
            x0, y0, x1, y1 = (round(value) for value in prompt.box)
            if x1 - x0 > 1:
                mask[:, y0:y1, x0:x1] = True
        return masks


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> DrivingObjectsStage:
    monkeypatch.setattr("stages.prepare.object_masks.ObjectMasksStage.open", lambda self: None)
    monkeypatch.setattr("stages.prepare.object_masks.ObjectMasksStage.backend", Boxes(), raising=False)
    return DrivingObjectsStage(ObjectMasksConfig())


def row(*objects: dict[str, Any], keep: bool | None = None, **changes: Any) -> Row:
    return {
        "driving_frames": np.zeros((3, 50, 100, 3), np.uint8),
        "driving_part": {"width_px": 400, "height_px": 200},
        "width_px": None,
        "height_px": None,
        "frame_seconds": [0.0, 0.1, 0.2],
        "objects": list(objects) or None,
        "keep_objects": keep,
        "clip": None,
        "clip_id": None,
        "model_spec": SPEC,
        **changes,
    }


def prompt(name: str, box: list[float]) -> dict[str, Any]:
    return {"object_id": name, "seconds": 0.1, "box": box, "points": None}


BALL, CUP = prompt("ball", [40, 20, 80, 60]), prompt("cup", [80.0, 0, 120, 40])
UNSEEN = prompt("ghost", [0, 0, 4, 4])


def test_prompted_objects_are_tracked_and_united(stage: DrivingObjectsStage) -> None:
    made = stage(row(BALL, CUP))
    expected = np.zeros((3, 50, 100), bool)
    expected[:, 5:15, 10:20] = expected[:, 0:10, 20:30] = True
    np.testing.assert_array_equal(made["driving_objects"], expected)
    assert made["kept_objects"] == ["ball", "cup"]


def test_objects_are_optional_unless_wanted(stage: DrivingObjectsStage) -> None:
    for one in (row(), row(BALL, keep=False), row(UNSEEN, keep=False)):
        made = stage(one)
        assert (made["driving_objects"], made["kept_objects"]) == (None, [])
    with pytest.raises(BadRow, match="NoPrompt: keep_objects is true, but no object is prompted"):
        stage(row(keep=True))
    assert stage(row(BALL, keep=True))["kept_objects"] == ["ball"]


def test_an_object_that_is_never_visible_fails(stage: DrivingObjectsStage) -> None:
    with pytest.raises(BadRow, match="ObjectNotVisible: ghost: in none of 3 frames"):
        stage(row(BALL, UNSEEN))


def test_masks_of_a_prepared_clip_are_read_and_prompts_of_the_request_override_them(
    stage: DrivingObjectsStage, prepared_clip: Row
) -> None:
    stored = prepared_clip["stored"]["object_masks"]
    made = stage({**row(keep=True), **prepared_clip})
    assert made["kept_objects"] == [each["object_id"] for each in stored]
    union = np.logical_or.reduce([decode(each["masks"]) for each in stored])
    np.testing.assert_array_equal(made["driving_objects"], union)
    assert stage({**row(BALL), **prepared_clip})["kept_objects"] == ["ball"]


def test_prompts_of_an_unprepared_clip_count(stage: DrivingObjectsStage) -> None:
    clip = {"keypoints_file": None, "objects": [CUP]}
    assert stage(row(clip=clip))["kept_objects"] == ["cup"]
    assert stage(row(BALL, clip=clip))["kept_objects"] == ["ball"]


def test_models_that_read_no_objects_have_none() -> None:
    blind = spec_of(ToyModel("blind", ToyVariant(needs=frozenset({"scene_frames"}))))
    stage = DrivingObjectsStage(ObjectMasksConfig(backend="sam2", weights="/nowhere"))
    made = stage(row(BALL, model_spec=blind))
    assert (made["driving_objects"], made["kept_objects"]) == (None, None)
    assert not stage.weights()
