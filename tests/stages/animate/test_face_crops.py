from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from faces import face_at, with_face
from toy_animation import ToyModel, ToyVariant, face_model, spec_of

from models.face.control import face_control
from models.face.regions import Absence
from stages.animate.face_crops import FaceCropsConfig, FaceCropsStage, lost_faces
from stages.base import Row
from stages.outcome import BadRow

NUM_FRAMES = 5
CANVAS_PX = (80, 64)
FRAMES = np.random.default_rng(2).integers(1, 256, (NUM_FRAMES, 160, 128, 3), dtype=np.uint8)


def row(controls: str | None = None, *, height_px: float = 40, lost: slice = slice(0), **changes: Any) -> Row:
    keypoints = np.stack([with_face(face_at(60 + frame, 60, height_px)) for frame in range(NUM_FRAMES)])
    keypoints[lost, :, 2] = 0
    drawn = keypoints.copy()
    drawn[..., :2] /= 2
    row: Row = {
        "driving_frames": FRAMES,
        "driving_keypoints": keypoints,
        "skeleton_keypoints": drawn,
        "model_spec": spec_of(face_model()),
        "controls": controls,
        "canvas_height_px": CANVAS_PX[0],
        "canvas_width_px": CANVAS_PX[1],
    }
    return {**row, **changes}


def facts(one: Row) -> dict[str, Any]:
    names = ("applied_controls", "face_rule", "frames_without_face", "face_lost")
    return {name: one[name] for name in names}


STAGE = FaceCropsStage(FaceCropsConfig())


@pytest.mark.parametrize("controls", [None, "face", "both"])
def test_the_driving_face_is_where_the_drawn_one_is(controls: str | None) -> None:
    one = row(controls)
    made = STAGE(one)
    frames, driving, drawn = (one[name] for name in ("driving_frames", "driving_keypoints", "skeleton_keypoints"))
    expected = face_control(frames, driving, drawn, size_px=CANVAS_PX)
    np.testing.assert_array_equal(made["face_control"], expected.pictures_THWC6)
    assert made["face_control"][..., :3].any(axis=(1, 2, 3)).all()
    applied = controls or "both"
    assert facts(made) == {
        "applied_controls": applied,
        "face_rule": "patches",
        "frames_without_face": 0,
        "face_lost": [],
    }
    assert made["face_height_px"] == pytest.approx(40, abs=1e-3)
    assert made["face_strip"].any()


def test_the_form_is_the_models() -> None:
    made = STAGE(row(model_spec=spec_of(face_model(form="landmarks"))))
    assert made["face_rule"] == "landmarks"
    assert set(np.unique(made["face_control"])) == {0, 255}


def test_a_face_that_leaves_the_frame_is_counted_and_listed() -> None:
    one = row(lost=slice(1, 3))
    one["driving_keypoints"][4, :, 2] = 0
    made = STAGE(one)
    assert (made["applied_controls"], made["frames_without_face"]) == ("both", 3)
    assert made["face_lost"] == [
        {"start_frame": 1, "num_frames": 2, "reason": "not seen"},
        {"start_frame": 4, "num_frames": 1, "reason": "not seen"},
    ]
    assert made["face_control"].any(axis=(1, 2, 3)).all()


def test_a_run_has_the_reason_of_its_first_frame() -> None:
    absences = [Absence.TOO_SMALL, Absence.NOT_SEEN, None, Absence.NOT_DRAWN]
    assert lost_faces(absences) == [
        {"start_frame": 0, "num_frames": 2, "reason": "too small"},
        {"start_frame": 3, "num_frames": 1, "reason": "not drawn"},
    ]
    assert lost_faces([None, None]) == []


NONE: dict[str, tuple[dict[str, Any], str, str]] = {
    "no face": ({"lost": slice(None)}, "no face: not seen", "none of the 5 driving frames shows a face (34 of 68"),
    "small": (
        {"height_px": 9},
        "no face: too small",
        "driving frames is at most 9.0 px high, 16 px are needed",
    ),
    "undrawn": (
        {"skeleton_keypoints": np.zeros((NUM_FRAMES, 133, 3), np.float32)},
        "no face: not drawn",
        "no patch of the face is inside of any of the 5 output frames",
    ),
}


@pytest.mark.parametrize(("changes", "rule", "message"), NONE.values(), ids=NONE)
def test_without_any_face_the_body_controls_or_the_request_fails(
    changes: dict[str, Any], rule: str, message: str
) -> None:
    made = STAGE(row(**changes))
    assert (made["applied_controls"], made["face_rule"], made["frames_without_face"]) == ("body", rule, NUM_FRAMES)
    assert [(run["start_frame"], run["num_frames"]) for run in made["face_lost"]] == [(0, NUM_FRAMES)]
    assert made["face_control"].shape == (NUM_FRAMES, *CANVAS_PX, 6)
    assert not made["face_control"].any()
    for controls in ("face", "both"):
        with pytest.raises(BadRow) as raised:
            STAGE(row(controls, **changes))
        assert raised.value.reason == "NoFace"
        assert raised.value.message.startswith(f"controls is {controls}, but ")
        assert message in raised.value.message


def test_two_faces_are_not_separated() -> None:
    """The box is the driving character's; what else is in it stays."""
    one = row()
    other = FRAMES.copy()
    other[:, 50:90, 90:120] = 255
    alone, both = STAGE(one)["face_control"], STAGE({**one, "driving_frames": other})["face_control"]
    assert both.any(axis=-1).sum() == alone.any(axis=-1).sum()
    assert (both != alone).any()


def test_a_request_for_the_body_has_no_face() -> None:
    made = STAGE(row("body"))
    assert not made["face_control"].any()
    assert facts(made) == {
        "applied_controls": "body",
        "face_rule": "not requested",
        "frames_without_face": None,
        "face_lost": None,
    }


def test_models_that_read_no_face_have_none() -> None:
    made = STAGE(row(model_spec=spec_of(ToyModel(variant=ToyVariant()))))
    assert {made[name] for name in FaceCropsStage.writes} == {None}
