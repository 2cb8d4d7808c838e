from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from puppet_media import FPS, puppet_frames, side_by_side_puppets, write_scenery
from toy_animation import scene_model, spec_of

from models.perception.embedded import EmbeddedFigure
from stages.animate.driving import DrivingConfig, DrivingStage
from stages.animate.keypoints import DrivingPoseStage, ReferencePoseStage
from stages.backends.base import EMBEDDED
from stages.base import Row
from stages.outcome import BadRow, Rejected
from stages.prepare.pose import PoseConfig


def test_keypoints_of_a_reference() -> None:
    stage = ReferencePoseStage(PoseConfig(backend=EMBEDDED))
    stage.open()
    puppet = {"reference_picture": puppet_frames(3, num_frames=1)[0], "reference_uri": "a.png"}
    found = stage({**puppet, "model_spec": spec_of()})["picture_keypoints"]
    assert (found.shape, found.dtype) == ((133, 3), np.float32)
    assert (found[:17, 2] > 0.3).sum() > 10
    assert stage.weights()
    nobody = {**puppet, "reference_picture": np.full((128, 96, 3), 90, np.uint8)}
    assert stage({**nobody, "model_spec": spec_of()})["picture_keypoints"].shape == (133, 3)
    with pytest.raises(BadRow, match=r"NoPerson: a.png shows no person \(4 body keypoints"):
        stage({**nobody, "model_spec": spec_of(scene_model())})


@pytest.fixture
def stage() -> DrivingPoseStage:
    stage = DrivingPoseStage(PoseConfig(backend=EMBEDDED))
    stage.open()
    return stage


def row(clip: Row | None = None, num_frames: int = 2) -> Row:
    frames = puppet_frames(8, num_frames=num_frames)
    return {"decoded_frames": frames, "decoded_seconds": np.arange(num_frames) / FPS, "clip": clip, "clip_id": "c"}


def test_keypoints_of_a_video_are_estimated(stage: DrivingPoseStage) -> None:
    found = stage(row())["decoded_keypoints"]
    assert (found.shape, found.dtype) == ((2, 133, 3), np.float32)
    assert stage.networks(row()) == {"driving_pose": "embedded"}
    assert stage.networks(row()) == {}  # of the next row, which needs no network


def test_video_without_a_person_fails(stage: DrivingPoseStage, tmp_path: Path) -> None:
    driving = DrivingStage(DrivingConfig())
    driving.open()
    scenery = write_scenery(tmp_path / "a.mp4")
    decoded = driving.process(
        {
            **dict.fromkeys(("clip", "start_seconds", "duration_seconds", "width_px", "height_px")),
            "driving_uri": str(scenery),
            "model_spec": spec_of(),
        }
    )
    driving.close()
    with pytest.raises(BadRow, match="NoPerson: none of the 6 driving frames shows a person"):
        stage({**decoded, "clip": None, "clip_id": None})


def test_a_skeleton_across_two_puppets_is_implausible(stage: DrivingPoseStage) -> None:
    frames = side_by_side_puppets(3, 8)
    seconds = np.arange(len(frames)) / 12
    found = stage({"decoded_frames": frames, "decoded_seconds": seconds, "clip": None, "clip_id": None})
    assert found["implausible_share"] > 0.9
    reference = ReferencePoseStage(PoseConfig(backend=EMBEDDED))
    reference.open()
    picture = {"reference_uri": "two.png", "reference_picture": frames[0], "model_spec": spec_of()}
    with pytest.raises(Rejected, match=r"ImplausiblePose: the skeleton in two.png is implausible"):
        reference(picture)


def test_a_torn_skeleton_of_an_earlier_prepared_clip_is_implausible(stage: DrivingPoseStage, tmp_path: Path) -> None:
    torn = EmbeddedFigure().keypoints(side_by_side_puppets(3, 8, num_frames=2)) / np.float32([8, 8, 1])
    found = stage(row(prepared(tmp_path / "rows.parquet", torn)))
    assert found["implausible_share"] == 1


def prepared(path: Path, keypoints: np.ndarray, **changes: Any) -> Row:
    rows = {"clip_id": ["b", "c"], "keypoints": [keypoints.tolist(), keypoints.tolist()]}
    pq.write_table(pa.table(rows, schema=pa.schema({"clip_id": pa.string(), "keypoints": _KIND})), path)
    return {"keypoints_file": str(path), "work_width_px": 48, "work_height_px": 64, **changes}


_KIND = pa.list_(pa.list_(pa.list_(pa.float32())))


def test_keypoints_of_a_prepared_clip_are_read_and_scaled(stage: DrivingPoseStage, tmp_path: Path) -> None:
    keypoints = np.full((2, 133, 3), 0.9, np.float32)
    keypoints[..., 0] = 47  # the centre of the last column
    keypoints[..., 1] = 0
    found = stage(row(prepared(tmp_path / "rows.parquet", keypoints)))["decoded_keypoints"]
    # At twice the size, the last of 48 columns covers the columns 94 and 95.
    np.testing.assert_allclose(found[0, 0], [94.5, 0.5, 0.9], rtol=1e-6)


def test_keypoints_of_an_unprepared_clip_are_estimated(stage: DrivingPoseStage) -> None:
    found = stage(row({"keypoints_file": None, "work_width_px": None, "work_height_px": None}))
    assert found["decoded_keypoints"].shape == (2, 133, 3)


def test_missing_or_changed_prepared_clip_fails(stage: DrivingPoseStage, tmp_path: Path) -> None:
    clip = prepared(tmp_path / "rows.parquet", np.full((2, 133, 3), 0.9, np.float32))
    with pytest.raises(
        BadRow, match=r"SourceChanged: .*keypoints of c have the shape \(2, 133, 3\), expected \(3, 133, 3\)"
    ):
        stage(row(clip, num_frames=3))
    with pytest.raises(BadRow, match=r"SourceChanged: .* no longer holds the clip d"):
        stage({**row(clip), "clip_id": "d"})
    (tmp_path / "rows.parquet").unlink()
    with pytest.raises(BadRow, match=r"NotFound: .*which held the clip c, is gone"):
        stage(row(clip))
