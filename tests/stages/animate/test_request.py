from __future__ import annotations

from typing import Any

import pytest
from toy_animation import ToyModel, ToyVariant, face_model, scene_model, spec_of

from stages.animate.request import RequestConfig, RequestStage
from stages.outcome import BadRow

GOOD: dict[str, Any] = {
    "reference_uri": "a.png",
    "driving_uri": "a.mp4",
    "clip_id": None,
    "clips_uri": None,
    "clip": None,
    "clip_fault": None,
    "start_seconds": None,
    "duration_seconds": None,
    "model": "toy",
    "model_spec": spec_of(),
    "seed": 0,
    "num_steps": None,
    "guidance_scale": None,
    "width_px": None,
    "height_px": None,
    "retarget": None,
    "keep_objects": None,
    "character_scale": None,
    "offset_x": None,
    "offset_y": None,
    "paste_back": None,
    "long_video": None,
    "controls": None,
}
FACE = {"model": "face", "model_spec": spec_of(face_model())}
SCENE = {"model": "scene", "model_spec": spec_of(scene_model())}
NO_OBJECTS = ToyModel("blind", ToyVariant(needs=frozenset({"scene_frames"})))
PART: dict[str, Any] = {
    "status": "ok",
    "uri": "a.mp4",
    "fingerprint": "sha256:0",
    "size_bytes": None,
    "width_px": 64,
    "height_px": 64,
    "start_seconds": 0.0,
    "num_frames": 4,
    "frame_step": 1,
    "fps": 8.0,
}
CLIP = {"driving_uri": None, "clip_id": "c", "clips_uri": "out/prepared", "clip": PART}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        CLIP,
        {**CLIP, "clip": {**PART, "status": None}},
        {"start_seconds": 0.0, "duration_seconds": 2.5},
        {"width_px": 64, "height_px": 96, "num_steps": 20, "guidance_scale": 3.5, "seed": 2**40},
        {"retarget": "frame"},
        {"long_video": "windows"},
        {"controls": "body"},
        *({**FACE, "controls": controls} for controls in (None, "body", "face", "both")),
        {**SCENE, "keep_objects": True, "character_scale": 1.5, "offset_x": -0.25, "offset_y": 1.0},
        {**SCENE, "paste_back": False, "long_video": "chain"},
    ],
)
def test_valid_request_passes(changes: dict[str, Any]) -> None:
    assert RequestStage(RequestConfig()).process({**GOOD, **changes}) == {}


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({"model_spec": {"reason": "UnknownModel", "message": "no model is called 'toys'"}}, "UnknownModel", "'toys'"),
        ({"model_spec": {"reason": "MissingWeights", "message": "put it there"}}, "MissingWeights", "put it there"),
        ({"driving_uri": None}, "InvalidRow", "either driving_uri, or clip_id with clips_uri"),
        ({**CLIP, "driving_uri": "a.mp4"}, "InvalidRow", "got both or neither"),
        ({**CLIP, "clip": None}, "NotFound", "there is no clip 'c' in out/prepared"),
        ({**CLIP, "clip": None, "clip_fault": {"reason": "NotAllowed", "message": "no http"}}, "NotAllowed", "no http"),
        ({**CLIP, "clip": {"status": "rejected"}}, "InvalidRow", "the clip c is rejected in out/prepared, not ok"),
        ({**CLIP, "clip": {**PART, "uri": None, "fps": None}}, "InvalidRow", "out/prepared has no uri and no fps"),
        ({**CLIP, "start_seconds": 1.0}, "InvalidRow", "a clip is used as it is"),
        ({"start_seconds": -1.0}, "InvalidRow", "start_seconds is -1.0"),
        ({"duration_seconds": 0.0}, "InvalidRow", "duration_seconds is 0.0"),
        ({"duration_seconds": float("nan")}, "InvalidRow", "duration_seconds is nan"),
        ({"seed": -1}, "InvalidRow", "seed is -1"),
        ({"num_steps": 0}, "InvalidRow", "num_steps is 0, expected 1 to 1000"),
        ({"guidance_scale": float("inf")}, "InvalidRow", "guidance_scale is inf"),
        ({"width_px": 100}, "InvalidRow", "width_px is 100, but toy needs a multiple of 8: ask for 96 or 104"),
        ({"height_px": 4}, "InvalidRow", "ask for 8"),
        ({"height_px": 4096}, "InvalidRow", "height_px is 4096, expected 1 to 2048"),
        ({"width_px": 0}, "InvalidRow", "width_px is 0"),
        ({"long_video": "loops"}, "InvalidRow", "long_video is 'loops', expected one of windows, chain"),
        ({"long_video": "chain"}, "InvalidRow", "long_video = chain: toy animates the picture"),
        ({"character_scale": 1.0, "paste_back": False}, "InvalidRow", "character_scale, paste_back: toy animates"),
        ({**SCENE, "character_scale": 0.0}, "InvalidRow", "character_scale is 0.0, expected 0.1 to 10"),
        ({**SCENE, "character_scale": float("nan")}, "InvalidRow", "character_scale is nan"),
        ({**SCENE, "offset_y": -1.5}, "InvalidRow", "offset_y is -1.5, expected a share of the frame, -1 to 1"),
        ({"model": "blind", "model_spec": spec_of(NO_OBJECTS), "keep_objects": True}, "InvalidRow", "reads no objects"),
        ({"controls": "face"}, "InvalidRow", "controls is face, but toy reads no face; its body follows"),
        ({**FACE, "controls": "nose"}, "InvalidRow", "controls is 'nose', expected one of body, face, both"),
        ({"retarget": "magic"}, "InvalidRow", "retarget is 'magic', expected one of limbs, uniform, similarity"),
    ],
)
def test_invalid_request_fails_with_a_reason(changes: dict[str, Any], reason: str, message: str) -> None:
    with pytest.raises(BadRow) as raised:
        RequestStage(RequestConfig()).process({**GOOD, **changes})
    assert raised.value.reason == reason
    assert message in raised.value.message
