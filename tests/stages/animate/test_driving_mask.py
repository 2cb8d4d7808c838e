from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from puppet_media import puppet_frames
from toy_animation import scene_model, spec_of

from models.masks.rle import decode
from models.perception.embedded import EmbeddedFigure
from stages.animate.driving_mask import DrivingMaskStage
from stages.backends.base import EMBEDDED
from stages.base import Row
from stages.outcome import BadRow
from stages.prepare.character_mask import CharacterMaskConfig

SCENE = {"model_spec": spec_of(scene_model())}


@pytest.fixture(scope="module")
def row() -> Row:
    frames = puppet_frames(8, num_frames=3)
    return {**SCENE, "driving_frames": frames, "driving_keypoints": EmbeddedFigure().keypoints(frames), "clip": None}


@pytest.fixture
def stage() -> DrivingMaskStage:
    stage = DrivingMaskStage(CharacterMaskConfig(backend=EMBEDDED))
    stage.open()
    return stage


def test_the_mask_of_a_video_is_estimated(stage: DrivingMaskStage, row: Row) -> None:
    made = stage(row)
    assert made["driving_mask"].shape == (3, 128, 96)
    assert made["frames_without_character"] == 0
    x, y = np.rint(row["driving_keypoints"][0, :17, :2]).astype(int).T
    assert made["driving_mask"][0, y, x].mean() > 0.8


def test_frames_without_the_character_are_counted(stage: DrivingMaskStage, row: Row) -> None:
    frames = np.concatenate([row["driving_frames"], np.full((2, 128, 96, 3), 128, np.uint8)])
    keypoints = np.concatenate([row["driving_keypoints"], np.zeros((2, 133, 3), np.float32)])
    made = stage({**row, "driving_frames": frames, "driving_keypoints": keypoints})
    assert made["frames_without_character"] == 2
    assert made["driving_mask"].any(axis=(1, 2)).tolist() == [True] * 3 + [False] * 2


def test_nobody_to_replace_fails(stage: DrivingMaskStage, row: Row) -> None:
    with pytest.raises(BadRow, match="NoPerson: the mask of the driving character is empty in all 3 frames"):
        stage({**row, "driving_frames": np.full_like(row["driving_frames"], 128)})


def test_the_mask_of_a_prepared_clip_is_read(stage: DrivingMaskStage, prepared_clip: Row) -> None:
    made = stage({**SCENE, **prepared_clip, "driving_keypoints": None})
    np.testing.assert_array_equal(made["driving_mask"], decode(prepared_clip["stored"]["character_mask"]))


def test_a_clip_that_changed_fails(stage: DrivingMaskStage, prepared_clip: Row, tmp_path: Path) -> None:
    row = {**SCENE, **prepared_clip}
    with pytest.raises(BadRow, match=r"SourceChanged: .*: 4 masks or depths of .*, 3 frames"):
        stage({**row, "driving_frames": row["driving_frames"][:3]})
    with pytest.raises(BadRow, match="NotFound"):
        stage({**row, "clip": {**row["clip"], "keypoints_file": str(tmp_path / "gone.parquet")}})


def test_other_models_have_no_mask_and_load_no_network(row: Row) -> None:
    stage = DrivingMaskStage(CharacterMaskConfig(backend="sam2", weights="/nowhere"))
    stage.open()
    made = stage({**row, "model_spec": spec_of()})
    assert (made["driving_mask"], made["frames_without_character"]) == (None, None)
    assert not stage.weights()
