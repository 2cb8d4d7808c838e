from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from object_film import DECODE, FPS, LENGTH, Film, iou
from toy_animation import ToyModel, ToyVariant, scene_model, spec_of

from models.masks.rle import decode
from models.perception.prompts import ObjectPrompt
from models.video.window import DecodedClip
from stages.animate.driving import DrivingConfig, DrivingStage
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


def test_an_object_that_is_prompted_elsewhere_in_the_shot_may_be_out_of_view(
    stage: DrivingObjectsStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = {**UNSEEN, "seconds": 2.0}
    still = DecodedClip(frames=np.zeros((18, 50, 100, 3), np.uint8), frame_seconds=np.zeros(18), num_source_frames=18)
    reader = SimpleNamespace(frames=lambda clip, short_side_px: still)
    monkeypatch.setattr("stages.prepare.object_masks.ObjectMasksStage.reader", reader, raising=False)
    part = {"start_seconds": 0.0, "num_frames": 3, "frame_step": 1, "fps": 10.0, "times_seconds": None}
    part |= {"width_px": 400, "height_px": 200, "shot_start_seconds": 0.0, "shot_end_seconds": 3.0}
    made = stage(row(BALL, elsewhere, driving_part=part))
    assert made["kept_objects"] == ["ball"]
    made = stage(row(elsewhere, driving_part=part))
    assert (made["driving_objects"], made["kept_objects"]) == (None, [])
    with pytest.raises(BadRow, match="ObjectNotVisible: ghost"):
        stage(row(BALL, elsewhere, keep=True, driving_part=part))


def test_a_prompt_outside_the_driving_part_is_tracked_into_it(tmp_path: Path) -> None:
    film = Film(tmp_path / "film.mp4")
    driving = DrivingStage(DrivingConfig(decode=DECODE))
    objects = DrivingObjectsStage(ObjectMasksConfig(), DECODE)
    driving.open()
    request = {"driving_uri": film.uri, "start_seconds": LENGTH / FPS, "duration_seconds": LENGTH / FPS}
    request |= row(film.prompt("ball", 3), keep=True, width_px=96, height_px=144)
    decoded = driving(request)
    names = {"driving_frames": "decoded_frames", "driving_part": "decoded_part", "frame_seconds": "decoded_seconds"}
    columns = {**decoded, **{name: decoded[source] for name, source in names.items()}}
    made = objects(columns)
    assert made["kept_objects"] == ["ball"]
    masks = made["driving_objects"]
    assert iou(masks, film.true_masks("ball", 1, masks.shape)) > 0.9
    with pytest.raises(BadRow, match="outside its shot"):
        objects({**columns, "objects": [film.prompt("ball", 3, seconds=4.1)]})
    for each in (driving, objects, film.reader):
        each.close()


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
