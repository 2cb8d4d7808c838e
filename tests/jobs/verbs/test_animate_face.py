"""Animate with a toy model that reads the driving face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from dataset_rows import plain_rows
from PIL import Image
from puppet_media import NUM_ABSENT, NUM_FRAMES, WITH_FACE, write_driving, write_face_media
from small_jobs import options, small_config
from toy_animation import ToySystem, face_model, toy_model

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.verbs.animate import animate
from jobs.verbs.pair import pair
from models.systems import SYSTEMS
from pipelines.engine.schema import REQUEST_COLUMNS

Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_face_media(tmp_path_factory.mktemp("media"))
    write_driving(root / "one.mp4", seed=WITH_FACE, num_frames=1)
    return root


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "toys", ToySystem((face_model(), face_model("dots", form="landmarks"), toy_model())))


def run(media: Path, out: Path, rows: Rows) -> JobResult:
    base = {"reference_uri": str(media / "a.png"), "driving_uri": str(media / "a.mp4"), "model": "face"}
    table = pa.Table.from_pylist(
        [{**base, "request_id": name, **row} for name, row in rows.items()],
        schema=pa.schema(list(REQUEST_COLUMNS.items())),
    )
    pq.write_table(table, out.with_suffix(".parquet"))
    return animate(
        str(out),
        requests=str(out.with_suffix(".parquet")),
        config=small_config(),
        options=options(out.parent, max_failed="100%"),
        console=Console(json_only=True),
    )


def test_faces_drive_characters_and_bad_input_has_a_reason(ray_cluster: None, media: Path, tmp_path: Path) -> None:
    small, leaves = {"driving_uri": str(media / "small.mp4")}, {"driving_uri": str(media / "leaves.mp4")}
    requests: Rows = {
        "video": {},
        "face": {"controls": "face"},
        "body": {"controls": "body"},
        "dots": {"model": "dots", "controls": "both"},
        "leaves": leaves,
        "small": small,
        "one": {"driving_uri": str(media / "one.mp4")},
        "other-model": {"model": "toy"},
        "bad-small": {**small, "controls": "both"},
        "bad-model": {"model": "toy", "controls": "face"},
    }
    out = tmp_path / "results"
    run(media, out, requests)
    table = pyarrow.dataset.dataset(out).to_table()
    rows = {row["request_id"]: row for row in plain_rows(table)}
    assert {name: row["reason"] for name, row in rows.items() if row["status"] != "ok"} == {
        "bad-small": "NoFace",
        "bad-model": "InvalidRow",
    }
    names = ("applied_controls", "face_rule", "frames_without_face", "face_lost")
    whole = [{"start_frame": 0, "num_frames": NUM_FRAMES, "reason": "too small"}]
    # The skeleton is interpolated there, the face is not.
    assert rows["leaves"]["bridged_frames"] == NUM_ABSENT
    gone = [{"start_frame": NUM_FRAMES // 2, "num_frames": NUM_ABSENT, "reason": "not seen"}]
    assert {name: tuple(row[key] for key in names) for name, row in rows.items() if row["status"] == "ok"} == {
        "video": ("both", "patches", 0, []),
        "face": ("face", "patches", 0, []),
        "body": ("body", "not requested", None, None),
        "dots": ("both", "landmarks", 0, []),
        "leaves": ("both", "patches", NUM_ABSENT, gone),
        "small": ("body", "no face: too small", NUM_FRAMES, whole),
        "one": ("both", "patches", 0, []),
        "other-model": (None, None, None, None),
    }
    assert 16 < rows["video"]["face_height_px"] < 24
    assert rows["small"]["face_height_px"] < 16
    strips = {name for name, row in rows.items() if row["face_strip_uri"] is not None}
    assert strips == {"video", "face", "dots", "leaves", "one"}
    with Image.open(out / rows["video"]["face_strip_uri"]) as strip:
        assert np.asarray(strip).any()
    page = (out / "_report" / "report.html").read_text()
    assert page.count('class="face"') == len(strips)


def test_pair_writes_what_controls(media: Path, tmp_path: Path) -> None:
    out = tmp_path / "requests.parquet"
    settings = {"controls": "face"}
    pair([str(media / "a.png")], str(media / "a.mp4"), str(out), settings=settings, limit=None, console=Console())
    assert pq.read_table(out)["controls"].to_pylist() == ["face"]
