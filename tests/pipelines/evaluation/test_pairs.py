from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import ManifestError
from pipelines.engine.schema import (
    PAIR_COLUMNS,
    REQUEST_COLUMNS,
    RESOLVED_COLUMNS,
    RESULT_COLUMNS,
    STAMPED_PAIR_COLUMNS,
    dataset_schema,
)
from pipelines.evaluation.pairs import pairs_of_results, pairs_of_table
from stages.io.storage import Storage

Rows = dict[str, dict[str, Any]]
OK = {"status": "ok", "model": "m", "num_frames": 6, "fps": 8.0}
CLIP = {"uri": "/videos/b.mp4", "start_seconds": 2.5, "num_frames": 6, "frame_step": 2, "fps": 16.0}


def write_results(root: Path, rows: Sequence[Mapping[str, Any]], extra: Mapping[str, pa.DataType] | None = None) -> str:
    ledger = Ledger(Storage(str(root)), "request_id")
    manifest = pa.schema([*REQUEST_COLUMNS.items(), *RESOLVED_COLUMNS.items(), *(extra or {}).items()])
    schema = dataset_schema("animate", manifest, RESULT_COLUMNS)
    for row in rows:
        name = row["request_id"]
        facts = {"work_key": name, "committed_at": datetime.now(UTC), "video_uri": f"_videos/{name}.mp4"}
        ledger.commit({**OK, **facts, **row}, schema)
    ledger.compact()
    return str(root)


def by_id(table: pa.Table) -> Rows:
    assert table.column_names == [*PAIR_COLUMNS, *STAMPED_PAIR_COLUMNS]
    return {row["animation_id"]: row for row in table.to_pylist()}


def pairs(results: str, truth: str = "driving", **settings: Any) -> Rows:
    return by_id(pairs_of_results(results, truth=truth, allowed_schemes=("file",), **settings))


def test_driving_videos_and_clips_are_the_truth(tmp_path: Path) -> None:
    rows = [
        {"request_id": "video", "driving_uri": "/videos/a.mp4", "start_seconds": 1.5, "window_borders": [4]},
        {"request_id": "clip", "clip": CLIP, "num_steps": 30, "guidance_scale": 3.5},
        {"request_id": "lost", "driving_uri": "/videos/a.mp4", "status": "failed", "reason": "Crash"},
    ]
    found = pairs(write_results(tmp_path, rows))
    video, clip, lost = found["video"], found["clip"], found["lost"]
    assert video["animation_uri"] == str(tmp_path / "_videos" / "video.mp4")
    assert (video["truth_uri"], video["truth_start_seconds"], video["truth_timestamp_seconds"]) == (
        "/videos/a.mp4",
        1.5,
        None,
    )
    assert (clip["truth_uri"], clip["truth_start_seconds"], clip["truth_timestamp_seconds"]) == (
        "/videos/b.mp4",
        None,
        2.5,
    )
    assert video["truth_num_frames"] == clip["truth_num_frames"] == 6
    assert (video["setting"], clip["setting"]) == ("default", "num_steps=30, guidance_scale=3.5")
    assert (video["window_borders"], clip["window_borders"]) == ([4], None)
    assert (video["not_animated"], lost["not_animated"]) == (None, "failed: Crash")
    assert (video["model"], video["animation_stamp"]) == ("m", "")


def test_the_truth_of_a_cut_animation_begins_where_it_does(tmp_path: Path) -> None:
    rows = [
        {"request_id": "part", "driving_uri": "/videos/a.mp4", "start_seconds": 1.5, "cut_start_frames": 4},
        {"request_id": "whole", "driving_uri": "/videos/a.mp4", "cut_start_frames": 4},
        {"request_id": "uncut", "driving_uri": "/videos/a.mp4", "cut_start_frames": 0},
        {"request_id": "clip", "clip": CLIP, "cut_start_frames": 2},
    ]
    found = pairs(write_results(tmp_path, rows))
    starts = {name: (row["truth_start_seconds"], row["truth_timestamp_seconds"]) for name, row in found.items()}
    assert starts == {"part": (2.0, None), "whole": (0.5, None), "uncut": (None, None), "clip": (None, 2.75)}


def test_a_given_truth_of_a_cut_animation_is_cut_as_well(tmp_path: Path) -> None:
    rows = [
        {"request_id": "start", "truth_uri": "/true/a.mp4", "cut_start_frames": 2, "cut_end_frames": 0},
        {"request_id": "end", "truth_uri": "/true/b.mp4", "cut_start_frames": 0, "cut_end_frames": 1},
        {"request_id": "whole", "truth_uri": "/true/c.mp4", "cut_start_frames": 0, "cut_end_frames": 0},
    ]
    found = pairs(write_results(tmp_path, rows, {"truth_uri": pa.string()}), "column:truth_uri")
    parts = {name: (row["truth_start_seconds"], row["truth_num_frames"]) for name, row in found.items()}
    assert parts == {"start": (0.25, 6), "end": (0.0, 6), "whole": (None, None)}


def test_truth_in_a_folder_has_the_names_of_requests(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results", [{"request_id": "a.b"}, {"request_id": "c"}])
    folder = tmp_path / "true 'videos'"
    folder.mkdir()
    (folder / "a.b.MOV").write_bytes(b"12")
    (folder / "a.b.txt").write_bytes(b"")
    found = pairs(results, str(folder))
    assert found["a.b"]["truth_uri"] == str(folder / "a.b.MOV")
    assert found["a.b"]["truth_stamp"].startswith("2:")
    assert (found["c"]["truth_uri"], found["c"]["truth_stamp"]) == (str(folder / "c.*"), "")
    assert found["c"]["truth_num_frames"] is None
    (folder / "a.b.mp4").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"a.b.MOV and a.b.mp4; expected one video per name"):
        pairs(results, str(folder))


def test_truth_in_a_column_starts_at_the_dataset(tmp_path: Path) -> None:
    rows = [{"request_id": "a", "true video": "t/a.mp4"}, {"request_id": "b", "true video": "s3://x/b.mp4"}]
    results = write_results(tmp_path, [*rows, {"request_id": "c"}], {"true video": pa.string()})
    found = pairs(results, "column:true video")
    assert [found[name]["truth_uri"] for name in "abc"] == [str(tmp_path / "t/a.mp4"), "s3://x/b.mp4", None]


def test_columns_make_settings(tmp_path: Path) -> None:
    rows = [{"request_id": "a", "seed": 1, "retarget": "limbs"}, {"request_id": "b", "seed": 2}]
    found = pairs(write_results(tmp_path, rows), group_by=["seed", "retarget"])
    assert [found[name]["setting"] for name in "ab"] == ["seed=1, retarget=limbs", "seed=2"]


def test_paths_with_dots_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(tmp_path / "results", [{"request_id": "a"}])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pairs("../results")["a"]["animation_uri"] == str(tmp_path / "results" / "_videos" / "a.mp4")


@pytest.mark.parametrize(
    ("truth", "settings", "message"),
    [
        ("column:nothing", {}, "has no column 'nothing'; it has"),
        ("NOWHERE", {}, "holds no videos; expected a folder with a video named after each request, `driving`, or"),
        ("driving", {"group_by": ["nothing"]}, "has no column 'nothing' to group by"),
    ],
)
def test_wrong_truth_is_refused(tmp_path: Path, truth: str, settings: dict[str, Any], message: str) -> None:
    results = write_results(tmp_path / "results", [{"request_id": "a"}])
    with pytest.raises(ManifestError, match=message):
        pairs(results, truth.replace("NOWHERE", str(tmp_path / "nowhere")), **settings)


@pytest.mark.parametrize("folder", ["nothing", "other"])
def test_a_folder_without_results_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "other").mkdir()
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other" / "rows-000000.parquet")
    with pytest.raises(ManifestError, match="holds no animations; expected the dataset that `zoetrope animate` wrote"):
        pairs(str(tmp_path / folder))


def test_tables_of_pairs_need_two_columns(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("animation_uri,truth_uri,note\nä b.mp4,t/1.mp4,x\n/c.mp4,s3://t/2.mp4,y\n")
    found = by_id(pairs_of_table(str(tmp_path / "pairs.csv"), allowed_schemes=("file",)))
    (first,) = (row for name, row in found.items() if name.startswith("b-"))
    assert (first["animation_uri"], first["truth_uri"]) == (str(tmp_path / "ä b.mp4"), str(tmp_path / "t/1.mp4"))
    assert {(row["model"], row["setting"], row["truth_num_frames"]) for row in found.values()} == {
        ("unnamed", "default", None)
    }
    grouped = by_id(pairs_of_table(str(tmp_path / "pairs.csv"), group_by=["note"], allowed_schemes=("file",)))
    assert {row["setting"] for row in grouped.values()} == {"note=x", "note=y"}
    (tmp_path / "half.csv").write_text("animation_uri\na.mp4\n")
    with pytest.raises(ManifestError, match=r"lacks the columns \['truth_uri'\]"):
        pairs_of_table(str(tmp_path / "half.csv"), allowed_schemes=("file",))
