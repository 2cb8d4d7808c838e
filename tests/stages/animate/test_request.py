from __future__ import annotations

from typing import Any

import pytest
from toy_animation import spec_of

from stages.animate.request import RequestConfig, RequestStage
from stages.outcome import BadRow

GOOD: dict[str, Any] = {
    "reference_uri": "a.png",
    "driving_uri": "a.mp4",
    "clip_id": None,
    "clips_uri": None,
    "clip": None,
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
}
CLIP = {"driving_uri": None, "clip_id": "c", "clips_uri": "out/prepared", "clip": {"status": "ok"}}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        CLIP,
        {**CLIP, "clip": {"status": None}},
        {"start_seconds": 0.0, "duration_seconds": 2.5},
        {"width_px": 64, "height_px": 96, "num_steps": 20, "guidance_scale": 3.5, "seed": 2**40},
        {"retarget": "frame"},
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
        ({**CLIP, "clip": {"status": "rejected"}}, "InvalidRow", "the clip c is rejected in out/prepared, not ok"),
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
        ({"retarget": "magic"}, "InvalidRow", "retarget is 'magic', expected one of limbs, similarity"),
    ],
)
def test_invalid_request_fails_with_a_reason(changes: dict[str, Any], reason: str, message: str) -> None:
    with pytest.raises(BadRow) as raised:
        RequestStage(RequestConfig()).process({**GOOD, **changes})
    assert raised.value.reason == reason
    assert message in raised.value.message
