from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.masks.rle import decode
from models.perception.prompts import ObjectPrompt
from stages.outcome import BadRow, Reason
from stages.prepare.object_masks import ObjectMasksConfig, ObjectMasksStage


class Recorder:
    """Backend that records its prompts and returns their boxes as masks."""

    def __init__(self) -> None:
        self.calls: list[list[ObjectPrompt]] = []

    def track_all(self, frames_THWC: np.ndarray, objects: list[list[ObjectPrompt]]) -> np.ndarray:
        self.calls += [list(prompts) for prompts in objects]
        masks = np.zeros((len(objects), *frames_THWC.shape[:3]), bool)
        for mask, prompts in zip(masks, objects, strict=True):
            mask[prompts[0].frame, 0, 0] = True
        return masks


def row(*objects: dict[str, Any]) -> dict[str, Any]:
    return {
        "frames": np.zeros((4, 50, 100, 3), np.uint8),
        "frame_seconds": [2.0, 2.1, 2.2, 2.3],
        "objects": list(objects),
        "width_px": 400,
        "height_px": 200,
        "work_width_px": 100,
        "work_height_px": 50,
    }


def prompt(object_id: str = "ball", *, seconds: float = 2.1, box: Any = None, points: Any = None) -> dict[str, Any]:
    return {"object_id": object_id, "seconds": seconds, "box": box, "points": points}


@pytest.fixture
def stage() -> ObjectMasksStage:
    stage = ObjectMasksStage(ObjectMasksConfig())
    stage.backend = Recorder()
    return stage


def test_prompts_reach_the_backend_in_working_pixels_and_frames(stage: ObjectMasksStage) -> None:
    points = [{"x": 1.5, "y": 1.5, "positive": True}, {"x": 399, "y": 0, "positive": False}]
    tracked = stage(
        row(
            prompt("ball", seconds=2.19, box=[40, 20, 80, 60]),
            prompt("cup", seconds=1.95, points=points),
            prompt("ball", seconds=2.3, box=[300, 100, 500, 250]),
        )
    )["object_masks"]
    ball, cup = stage.backend.calls
    assert [p.frame for p in ball] == [2, 3]
    assert ball[0].box == (10, 5, 20, 15)
    assert ball[1].box == (75, 25, 100, 50)  # clipped at the edge of the picture
    assert cup[0].frame == 0
    assert cup[0].box is None
    np.testing.assert_allclose(cup[0].positive, [[0, 0]])  # the middle of a 4 x 4 block of pixels
    np.testing.assert_allclose(cup[0].negative, [[99.375, -0.375]])
    assert [entry["object_id"] for entry in tracked] == ["ball", "cup"]
    assert decode(tracked[0]["masks"]).any((1, 2)).tolist() == [False, False, True, False]


@pytest.mark.parametrize("objects", [[], None])
def test_no_prompts_no_masks(stage: ObjectMasksStage, objects: list[Any] | None) -> None:
    assert stage({**row(), "objects": objects})["object_masks"] == []
    assert stage.backend.calls == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (prompt(seconds=1.8, box=[0, 0, 9, 9]), "outside the clip, which runs from 2.000 to 2.300 s"),
        (prompt(seconds=2.5, box=[0, 0, 9, 9]), "outside the clip"),
        (prompt(seconds=float("nan"), box=[0, 0, 9, 9]), "outside the clip"),
        (prompt(box=[400, 10, 450, 60]), "outside the 400 x 200 picture"),
        (prompt(box=[-50, 10, 0, 60]), "outside the 400 x 200 picture"),
        (prompt(box=[60, 10, 60, 60]), "empty or outside"),
        (prompt(box=[60, 10, 20, 60]), "empty or outside"),
        (prompt(box=[1, 2, 3]), "4 finite numbers"),
        (prompt(box=[1, 2, float("inf"), 9]), "4 finite numbers"),
        (prompt(points=[{"x": 400, "y": 10, "positive": True}]), "outside the 400 x 200 picture"),
        (prompt(points=[{"x": float("nan"), "y": 10, "positive": True}]), "outside the 400 x 200 picture"),
        (prompt(points=[{"x": 4, "y": 10, "positive": False}]), "neither a box nor a positive point"),
        (prompt(), "neither a box nor a positive point"),
        (prompt(box=[None] * 4), "null in its box or points"),
        (prompt(points=[None]), "null in its box or points"),
        (prompt(points=[{"x": None, "y": None, "positive": None}]), "null in its box or points"),
        (prompt(points=[{"x": 1, "y": 1, "positive": None}]), "null in its box or points"),
        (prompt(box=[1e300] * 4), "empty or outside"),
        (prompt(points=[{"x": 1e300, "y": -1e300, "positive": True}]), "outside the 400 x 200 picture"),
    ],
)
def test_prompts_that_make_no_sense_are_bad_rows(stage: ObjectMasksStage, bad: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRow) as raised:
        stage(row(bad))
    assert raised.value.reason == Reason.INVALID_ROW
    assert words in raised.value.message
    assert "object 'ball'" in raised.value.message


@pytest.mark.parametrize(
    "changes",
    [
        {"objects": [None]},
        {"objects": [prompt(seconds=None, box=[0, 0, 9, 9])]},
        {"objects": [prompt("", box=[0, 0, 9, 9])]},
        {"objects": [prompt(None, box=[0, 0, 9, 9])]},
        {"objects": [prompt(str(n), box=[0, 0, 9, 9]) for n in range(65)]},
        *({"objects": [prompt(box=[0, 0, 9, 9])], "width_px": width} for width in (None, 0, -1)),
        {"objects": [prompt("x" * 100_000)]},
    ],
)
def test_odd_rows_are_invalid(stage: ObjectMasksStage, changes: dict[str, Any]) -> None:
    with pytest.raises(BadRow) as raised:
        stage({**row(), **changes})
    assert raised.value.reason == Reason.INVALID_ROW
    assert len(raised.value.message) < 500


def test_weights_and_backends() -> None:
    assert list(ObjectMasksStage(ObjectMasksConfig()).weights()) == ["embedded-object-masks"]
    with pytest.raises(ValueError, match="unknown object masks backend 'xmem'"):
        ObjectMasksConfig(backend="xmem")
