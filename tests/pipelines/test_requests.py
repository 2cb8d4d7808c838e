from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import ManifestError
from pipelines.engine.schema import CLIP_COLUMNS, PREPARED_COLUMNS, REQUEST_COLUMNS, dataset_schema
from pipelines.model_specs import ModelSpec
from pipelines.requests import (
    RequestDefaults,
    one_request,
    pair,
    requests_manifest,
    resolve,
)
from stages.io.storage import Storage

SCHEMES = ("file",)
CLIP: dict[str, Any] = {
    "video_id": "v",
    "uri": "/videos/v.mp4",
    "fingerprint": "sha256:0",
    "size_bytes": 5,
    "width_px": 96,
    "height_px": 128,
    "fps": 8.0,
    "start_seconds": 0.5,
    "num_frames": 6,
    "frame_step": 1,
}


def prepared(root: Path, rows: dict[str, dict[str, Any]], **own: pa.DataType) -> str:
    """Dataset of `prepare` without the large columns. `own`: columns of the user's own."""
    ledger = Ledger(Storage(str(root)), "clip_id")
    schema = dataset_schema("prepare", pa.schema([*CLIP_COLUMNS.items(), *own.items()]), PREPARED_COLUMNS)
    for number, (clip_id, changes) in enumerate(rows.items()):
        row = {**CLIP, "clip_id": clip_id, "status": "ok", "work_width_px": 96, "work_height_px": 128}
        row |= {"stage_keys": {"decode": "d", "pose": "p"}, "work_key": f"{number:032x}", "committed_at": number}
        ledger.commit({**row, **changes}, schema)
    ledger.compact()
    return ledger.storage.url


def requests(path: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def resolved(path: Path, defaults: RequestDefaults | None = None, **digests: str) -> list[dict[str, Any]]:
    table = resolve(
        requests_manifest(str(path)),
        defaults=defaults or RequestDefaults(model="toy"),
        describe=lambda name: ModelSpec(name=name, digest=digests.get(name), keeps_scene=name == "scene"),
        scene_weights=lambda: "masks: m",
        reference_schemes=SCHEMES,
        driving_schemes=SCHEMES,
    )
    # Read back as by a job.
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return sorted(pq.read_table(buffer).to_pylist(), key=lambda row: str(row["request_id"]))


def test_defaults_fill_empty_columns(tmp_path: Path) -> None:
    path = requests(
        tmp_path / "r.parquet",
        {"request_id": "a", "reference_uri": "/a.png", "driving_uri": "/a.mp4", "model": None, "seed": None},
        {"request_id": "b", "reference_uri": "/a.png", "driving_uri": "/a.mp4", "model": "other", "seed": 7},
    )
    defaults = RequestDefaults(model="toy", seed=3, num_steps=12, width_px=64)
    a, b = resolved(path, defaults, toy="sha256:t")
    assert (a["model"], a["seed"], a["num_steps"], a["width_px"], a["height_px"]) == ("toy", 3, 12, 64, None)
    assert (b["model"], b["seed"]) == ("other", 7)
    assert (a["model_digest"], b["model_digest"]) == ("sha256:t", None)


def test_relative_uris_are_resolved_and_files_stamped(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    row = {"request_id": "a", "reference_uri": "a.png", "driving_uri": "sub/a.mp4"}
    path = requests(tmp_path / "r.parquet", row, {**row, "request_id": "b", "reference_uri": "s3://bucket/a.png"})
    a, b = resolved(path)
    assert a["reference_uri"] == str(tmp_path / "a.png")
    assert a["driving_uri"] == str(tmp_path / "sub" / "a.mp4")
    assert a["reference_stamp"].startswith(f"{(tmp_path / 'a.png').stat().st_size}:")
    assert a["driving_stamp"] == ""
    assert (b["reference_uri"], b["reference_stamp"]) == ("s3://bucket/a.png", "")
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    assert resolved(path)[0]["reference_stamp"] != a["reference_stamp"]


def test_csv_with_additional_columns(tmp_path: Path) -> None:
    table = pa.table({"request_id": ["a"], "reference_uri": ["/a.png"], "driving_uri": ["/a.mp4"], "label": ["wave"]})
    pa.csv.write_csv(table, tmp_path / "r.csv")
    (row,) = resolved(tmp_path / "r.csv")
    assert (row["label"], row["seed"]) == ("wave", 0)


def test_clips_are_joined_and_keyed_by_content(tmp_path: Path) -> None:
    rows = {
        "good": {},
        "bad": {"status": "failed", "stage_keys": {}, "work_width_px": None},
        "other-pose": {"stage_keys": {"pose": "q"}},
    }
    url = prepared(tmp_path / "prepared", rows)
    base = {"reference_uri": "/a.png", "clips_uri": "prepared"}
    names = ("good", "bad", "other-pose", "nowhere")
    path = requests(tmp_path / "r.parquet", *({**base, "request_id": name, "clip_id": name} for name in names))
    by_id = {row["request_id"]: row for row in resolved(path)}
    good = by_id["good"]["clip"]
    assert by_id["good"]["clips_uri"] == url
    assert {name: good[name] for name in ("status", "uri", "num_frames", "fps", "work_width_px")} == {
        "status": "ok",
        "uri": "/videos/v.mp4",
        "num_frames": 6,
        "fps": 8.0,
        "work_width_px": 96,
    }
    assert good["keypoints_file"] == f"{url}/rows-000000.parquet"
    assert (by_id["bad"]["clip"]["status"], by_id["bad"]["clip"]["keypoints_file"]) == ("failed", None)
    assert (by_id["nowhere"]["clip"], by_id["nowhere"]["clip_key"]) == (None, None)
    # Other keypoints change the key of a clip; another location of the same clip does not.
    assert by_id["good"]["clip_key"] != by_id["other-pose"]["clip_key"]
    prepared(tmp_path / "moved", {"good": {"uri": "/elsewhere/v.mp4"}})
    moved = requests(
        tmp_path / "m.parquet", {**base, "request_id": "good", "clip_id": "good", "clips_uri": str(tmp_path / "moved")}
    )
    assert resolved(moved)[0]["clip_key"] == by_id["good"]["clip_key"]


def test_own_columns_of_clips_come_along(tmp_path: Path) -> None:
    rows = {"a": {"caption": "a dance", "label": "of the clip", "seed": 9}}
    prepared(tmp_path / "one", rows, caption=pa.string(), label=pa.string(), seed=pa.int64())
    prepared(tmp_path / "two", {"a": {"take": 3}}, take=pa.int64())
    base = {"reference_uri": "/a.png", "clip_id": "a", "label": "of the request"}
    requested = [{**base, "request_id": name, "clips_uri": name} for name in ("one", "two")]
    path = requests(tmp_path / "r.parquet", *requested, {**base, "request_id": "video", "clip_id": None})
    columns = ("caption", "take", "label", "seed")
    values = {row["request_id"]: tuple(row[name] for name in columns) for row in resolved(path)}
    assert values == {
        "one": ("a dance", None, "of the request", 0),
        "two": (None, 3, "of the request", 0),
        "video": (None, None, "of the request", 0),
    }


def test_models_that_keep_the_scene_have_keys_of_all_that_they_read(tmp_path: Path) -> None:
    stages = {"decode": "d", "pose": "p", "character_mask": "m", "object_masks": "o", "structured_depth": "s"}
    rows = {"good": {"stage_keys": stages}} | {
        f"other-{name}": {"stage_keys": {**stages, name: "x"}}
        for name in ("pose", "character_mask", "object_masks", "structured_depth")
    }
    prepared(tmp_path / "prepared", rows)
    base = {"reference_uri": "/a.png", "clips_uri": "prepared"}
    both = [
        {**base, "request_id": f"{model}-{name}", "clip_id": name, "model": model}
        for model in ("scene", "toy")
        for name in rows
    ]
    by_id = {row["request_id"]: row for row in resolved(requests(tmp_path / "r.parquet", *both))}
    keys = {model: {by_id[f"{model}-{name}"]["clip_key"] for name in rows} for model in ("scene", "toy")}
    assert (len(keys["scene"]), len(keys["toy"])) == (len(rows), 2)
    assert by_id["scene-good"]["scene_weights"] == "masks: m"
    assert by_id["toy-good"]["scene_weights"] is None
    assert (by_id["toy-good"]["clip"]["width_px"], by_id["toy-good"]["clip"]["height_px"]) == (96, 128)


def test_without_models_that_keep_the_scene_their_weights_are_not_looked_for(tmp_path: Path) -> None:
    def refuse() -> str:
        raise AssertionError("looked for weights")

    row = {"request_id": "a", "reference_uri": "/a.png", "driving_uri": "/a.mp4"}
    table = resolve(
        requests_manifest(str(requests(tmp_path / "r.parquet", row))),
        defaults=RequestDefaults(model="toy"),
        describe=lambda name: ModelSpec(name=name),
        scene_weights=refuse,
        reference_schemes=SCHEMES,
        driving_schemes=SCHEMES,
    )
    assert table.column("scene_weights").to_pylist() == [None]


def test_clips_that_are_not_prepared_have_no_keypoints(tmp_path: Path) -> None:
    rows = [{**CLIP, "clip_id": "c", "objects": []}]
    Storage(str(tmp_path / "clips")).publish("rows-000000.parquet", _bytes(rows))
    row = {"request_id": "a", "reference_uri": "/a.png", "clip_id": "c", "clips_uri": str(tmp_path / "clips")}
    (found,) = resolved(requests(tmp_path / "r.parquet", row))
    assert (found["clip"]["status"], found["clip"]["keypoints_file"], found["clip"]["num_frames"]) == (None, None, 6)


def _bytes(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(list(CLIP_COLUMNS.items()))), buffer)
    return buffer.getvalue()


def test_resolved_columns_are_recomputed(tmp_path: Path) -> None:
    row = {"request_id": "a", "reference_uri": "/a.png", "driving_uri": "/a.mp4", "model_digest": "old"}
    assert resolved(requests(tmp_path / "r.parquet", row), toy="new")[0]["model_digest"] == "new"


def test_rejects_an_invalid_table(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"lacks the columns \['reference_uri'\]"):
        resolved(requests(tmp_path / "r.parquet", {"request_id": "a"}))
    bad = {"request_id": "a", "reference_uri": "/a.png", "seed": "many"}
    with pytest.raises(ManifestError, match="column 'seed' holds 'many', expected BIGINT"):
        resolved(requests(tmp_path / "r.parquet", bad))


def test_one_request_resolves_paths_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (row,) = one_request("a.png", "s3://bucket/b.mp4").to_pylist()
    assert (row["reference_uri"], row["driving_uri"]) == (str(tmp_path / "a.png"), "s3://bucket/b.mp4")
    assert row["request_id"].startswith("a-")
    assert ".b-" in row["request_id"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("one.png", "two.jpg"):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    return tmp_path / "pictures"


def make(pictures: Path, clips: object, **rest: Any) -> list[dict[str, Any]]:
    table = pair([str(pictures)], str(clips), allowed_schemes=SCHEMES, settings=rest.pop("settings", {}), **rest)
    assert table.schema.names == list(REQUEST_COLUMNS)
    return list(table.to_pylist())


def test_pairs_every_picture_with_every_ok_clip(pictures: Path, tmp_path: Path) -> None:
    url = prepared(tmp_path / "prepared", {"a": {}, "b": {}, "c": {"status": "rejected"}})
    made = make(pictures, url, settings={"seed": 4, "num_steps": 9}, models=["toy"])
    assert len(made) == 4
    assert {(row["reference_uri"].rsplit("/", 1)[-1], row["clip_id"]) for row in made} == {
        (name, clip) for name in ("one.png", "two.jpg") for clip in "ab"
    }
    assert {(row["clips_uri"], row["driving_uri"]) for row in made} == {(url, None)}
    assert {(row["model"], row["seed"], row["num_steps"], row["guidance_scale"]) for row in made} == {
        ("toy", 4, 9, None)
    }
    assert len({row["request_id"] for row in made}) == 4


def test_several_models_have_a_request_for_each_pair(pictures: Path, tmp_path: Path) -> None:
    url = prepared(tmp_path / "prepared", {f"c{i:02d}": {} for i in range(12)})
    one = make(pictures, url, models=["toy"], limit=3)
    both = make(pictures, url, models=["toy", "other", "toy"], limit=3)
    assert len(both) == len({row["request_id"] for row in both}) == 6
    for row in one:
        same = [other for other in both if other["request_id"].startswith(f"{row['request_id']}.")]
        assert {other["model"] for other in same} == {"toy", "other"}
        assert all({**other, "request_id": "", "model": ""} == {**row, "request_id": "", "model": ""} for other in same)


def test_pairs_with_videos(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "v.mp4").write_bytes(b"")
    made = make(pictures, tmp_path / "videos")
    assert [row["driving_uri"] for row in made] == [str(tmp_path / "videos" / "v.mp4")] * 2
    assert made == make(pictures, tmp_path / "videos" / "v.mp4")


def test_limit_is_a_stable_sample_of_both(pictures: Path, tmp_path: Path) -> None:
    url = prepared(tmp_path / "prepared", {f"c{i:02d}": {} for i in range(12)})
    made = make(pictures, url, limit=8)
    assert made == make(pictures, url, limit=8)
    assert len(made) == 8
    assert len({row["reference_uri"] for row in made}) == 2
    assert len({row["clip_id"] for row in made}) > 4


def test_nothing_to_pair_is_an_error(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="no picture found in"):
        make(tmp_path / "empty", tmp_path)
    url = prepared(tmp_path / "prepared", {"c": {"status": "failed"}})
    with pytest.raises(ManifestError, match="holds no clip that is ok"):
        make(pictures, url)
