from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.report import videos
from jobs.report.videos import videos_to_show
from pipelines.engine.ledger import Ledger
from pipelines.engine.schema import REQUEST_COLUMNS, RESOLVED_COLUMNS, RESULT_COLUMNS, dataset_schema
from stages.io.storage import Storage

SCHEMA = dataset_schema("animate", pa.schema([*REQUEST_COLUMNS.items(), *RESOLVED_COLUMNS.items()]), RESULT_COLUMNS)
ROW: dict[str, Any] = {
    "reference_uri": "/a.png",
    "driving_uri": "/a.mp4",
    "model": "toy",
    "seed": 5,
    "num_steps": None,
    "guidance_scale": 3.5,
    "video_width_px": 64,
    "video_height_px": 96,
    "num_frames": 6,
    "fps": 8.0,
    "has_audio": True,
    "fallbacks": ["window_batch=1", "vae_tiled"],
    "device": "cpu",
    "retarget_rule": "limbs",
    "status": "ok",
    "attempts": 1,
    "seconds_by_stage": {"animate.load": 2.0, "animate": 1.25},
}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Six animations: one failed, and one with a missing video."""
    ledger = Ledger(Storage(str(tmp_path)), "request_id")
    for number in range(6):
        name = f"r{number}"
        files = {"video_uri": f"_videos/{name}.mp4", "side_by_side_uri": f"_videos/{name}.side-by-side.mp4"}
        outcome = {} if number else {"status": "failed", "reason": "NoPerson", **dict.fromkeys(files)}
        ledger.commit({**ROW, **files, "request_id": name, "work_key": name, **outcome}, SCHEMA)
        if number != 1:
            ledger.storage.publish(files["side_by_side_uri"], f"video {number}".encode())
    ledger.compact()
    return ledger


def test_some_that_are_ok_and_there_are_shown_with_their_facts(ledger: Ledger) -> None:
    shown = list(videos_to_show(ledger, 8))
    assert {video.request_id: video.mp4 for video in shown} == {f"r{i}": f"video {i}".encode() for i in range(2, 6)}
    assert dict(shown[0].facts) == {
        "model": "toy",
        "size": "64 × 96",
        "frames": "6 at 8 fps",
        "seed": "5",
        "guidance": "3.5",
        "retargeted by": "limbs",
        "device": "cpu",
        "animate time": "1.25 s",
        "fallbacks": "window_batch=1, vae_tiled",
        "sound": "kept",
        "picture": "/a.png",
        "driven by": "/a.mp4",
        "file": f"_videos/{shown[0].request_id}.mp4",
    }


def test_a_model_of_few_animations_is_shown_too(tmp_path: Path) -> None:
    ledger = Ledger(Storage(str(tmp_path)), "request_id")
    for number in range(12):
        name, model = f"r{number:02d}", "rare" if number == 3 else "frequent"
        files = {"video_uri": f"_videos/{name}.mp4", "side_by_side_uri": f"_videos/{name}.side-by-side.mp4"}
        ledger.commit({**ROW, **files, "model": model, "request_id": name, "work_key": name}, SCHEMA)
        ledger.storage.publish(files["side_by_side_uri"], b"video")
    ledger.compact()
    assert {dict(video.facts)["model"] for video in videos_to_show(ledger, 2)} == {"rare", "frequent"}


def test_an_animation_by_a_face_shows_it(tmp_path: Path) -> None:
    ledger = Ledger(Storage(str(tmp_path)), "request_id")
    lost = [{"start_frame": 5 * n, "num_frames": n + 1, "reason": "not seen"} for n in range(5)]
    face = {"applied_controls": "both", "face_rule": "patches", "face_height_px": 41.6}
    face |= {"frames_without_face": 15, "face_lost": lost, "face_strip_uri": "f.webp"}
    ledger.commit(
        {**ROW, **face, "video_uri": "v.mp4", "side_by_side_uri": "s.mp4", "request_id": "a", "work_key": "a"}, SCHEMA
    )
    ledger.storage.publish("s.mp4", b"video")
    ledger.storage.publish("f.webp", b"strip")
    ledger.compact()
    (shown,) = videos_to_show(ledger, 1)
    assert shown.face_webp == b"strip"
    facts = dict(shown.facts)
    assert (facts["controlled by"], facts["face"], facts["driving face"]) == ("both", "patches", "42 px high")
    runs = "0 to 0 (not seen), 5 to 6 (not seen), 10 to 12 (not seen), 15 to 18 (not seen)"
    assert facts["frames without a face"] == f"15: {runs} and 1 more"


def test_a_character_in_a_scene_has_its_placement_stated(tmp_path: Path) -> None:
    ledger = Ledger(Storage(str(tmp_path)), "request_id")
    scene = {"placement_rule": "feet", "character_scale": 1.5, "offset_y": -0.1, "kept_objects": ["ball", "cup"]}
    row = {**ROW, **scene, "frames_without_character": 2, "video_uri": "v.mp4", "side_by_side_uri": "s.mp4"}
    ledger.commit({**row, "request_id": "a", "work_key": "a"}, SCHEMA)
    ledger.storage.publish("s.mp4", b"video")
    ledger.compact()
    facts = dict(videos_to_show(ledger, 1)[0].facts)
    assert facts["placed by"] == "feet, 1.5 times as large, moved by 0, -0.1"
    assert (facts["objects kept"], facts["frames without the character"]) == ("ball, cup", "2")


def test_the_fit_of_the_motion_is_shown(tmp_path: Path) -> None:
    ledger = Ledger(Storage(str(tmp_path)), "request_id")
    fit = {
        "retarget_scale": 2.0,
        "retarget_limb_scales": {"shoulders": 1.5, "thighs": 3.0},
        "retarget_plausibility": 0.754,
        "retarget_outside_share": 0.25,
    }
    row = {**ROW, **fit, "video_uri": "v.mp4", "side_by_side_uri": "s.mp4"}
    ledger.commit({**row, "request_id": "a", "work_key": "a"}, SCHEMA)
    ledger.storage.publish("s.mp4", b"video")
    ledger.compact()
    facts = dict(videos_to_show(ledger, 1)[0].facts)
    assert facts["retargeted by"] == "limbs, scale 2, limbs 0.75 to 1.50 of it"
    assert (facts["plausibility"], facts["outside the picture"]) == ("0.75", "25% of the body's points")


def test_a_dataset_of_an_earlier_version_is_shown(tmp_path: Path) -> None:
    columns = [field for field in SCHEMA if field.name not in ("placement_rule", "kept_objects", "character_scale")]
    ledger = Ledger(Storage(str(tmp_path)), "request_id")
    row = {**ROW, "request_id": "a", "work_key": "a", "video_uri": "v.mp4", "side_by_side_uri": "s.mp4"}
    ledger.commit(row, pa.schema(columns))
    ledger.storage.publish("s.mp4", b"video")
    ledger.compact()
    assert "placed by" not in dict(videos_to_show(ledger, 1)[0].facts)


def test_the_time_is_shown_of_a_dataset_of_maps(tmp_path: Path) -> None:
    fields = [
        pa.field(f.name, pa.map_(pa.string(), pa.float32())) if f.name == "seconds_by_stage" else f for f in SCHEMA
    ]
    row = {**ROW, "request_id": "a", "work_key": "a", "video_uri": "v.mp4", "side_by_side_uri": "s.mp4"}
    row["seconds_by_stage"] = list(ROW["seconds_by_stage"].items())
    pq.write_table(
        pa.Table.from_pylist([row], schema=pa.schema(fields, SCHEMA.metadata)), tmp_path / "rows-000000.parquet"
    )
    ledger = Ledger(Storage(str(tmp_path)), "request_id")
    ledger.storage.publish("s.mp4", b"video")
    assert dict(videos_to_show(ledger, 1)[0].facts)["animate time"] == "1.25 s"


def test_no_more_than_asked_and_always_the_same(ledger: Ledger) -> None:
    first = [video.request_id for video in videos_to_show(ledger, 2)]
    assert len(first) == 2
    assert first == sorted(first)
    assert [video.request_id for video in videos_to_show(ledger, 2)] == first


def test_what_is_too_large_for_a_page_is_passed_over(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.storage.publish("_videos/r3.side-by-side.mp4", b"x" * 100)
    monkeypatch.setattr(videos, "MAX_VIDEO_BYTES", 99)
    assert {video.request_id for video in videos_to_show(ledger, 8)} == {"r2", "r4", "r5"}


def test_a_dataset_without_rows_shows_nothing(tmp_path: Path) -> None:
    assert list(videos_to_show(Ledger(Storage(str(tmp_path / "none")), "request_id"), 8)) == []
