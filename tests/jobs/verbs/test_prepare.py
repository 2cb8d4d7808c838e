"""End-to-end tests of ingest and prepare on puppets."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_rows import plain_rows
from small_jobs import PUPPETS, Corpus, options, small_config, tracking_uri

from jobs.engine.console import Console
from jobs.engine.spec import Options
from jobs.verbs.ingest import ingest
from jobs.verbs.maintenance import compact, report, retry
from jobs.verbs.prepare import prepare
from models.masks import rle
from models.puppets.truth_file import read_truth
from pipelines.engine.plan import Retry
from pipelines.engine.schema import PREPARED_COLUMNS


def rows(dataset: Path) -> dict[str, dict[str, Any]]:
    tables = [pq.read_table(path) for path in sorted(dataset.glob("*.parquet"))]
    return {row["clip_id"]: row for table in tables for row in plain_rows(table)}


def test_every_row_is_accounted_for(corpus: Corpus) -> None:
    assert (corpus.ingested.exit_code, corpus.ingested.summary["ok"]) == (0, 3)
    summary = corpus.prepared.summary
    assert corpus.prepared.exit_code == 0
    assert summary["rows"] == summary["ok"] + summary["rejected"] >= 3
    assert (summary["failed"], summary["not_run"]) == (0, 0)


def test_a_prepared_row_holds_every_signal(corpus: Corpus) -> None:
    for row in rows(corpus.dataset).values():
        frames, width, height = row["num_frames"], row["work_width_px"], row["work_height_px"]
        assert PREPARED_COLUMNS.keys() <= row.keys()
        assert len(row["frame_seconds"]) == frames
        assert np.array(row["keypoints"]).shape == (frames, 133, 3)
        for column in ("character_mask", "agnostic_mask"):
            assert rle.decode(row[column]).shape == (frames, height, width)
        exact, blocks = rle.decode(row["character_mask"]), rle.decode(row["agnostic_mask"])
        assert not (exact & ~blocks).any()
        assert len(row["depth_png"]) == frames
        assert {one["object_id"] for one in row["object_masks"]} == {prompt["object_id"] for prompt in row["objects"]}
        assert set(row["stage_keys"]) == set(row["seconds_by_stage"])
        networks = ("pose", "depth", "character_mask", *(["object_masks"] if row["objects"] else []))
        assert row["networks"] == dict.fromkeys(networks, "embedded")
        assert all(len(digest.removeprefix("sha256:")) == 64 for digest in row["weights"].values())


def test_the_networks_see_what_was_drawn(corpus: Corpus) -> None:
    """Covers encoding, decoding, resizing and mask coding. Accuracy of the networks is tested separately."""
    for row in rows(corpus.dataset).values():
        truth = read_truth(corpus.puppets / "truth" / f"{row['video_id']}.npz")
        times = np.subtract.outer(np.array(row["frame_seconds"]), truth.frame_seconds)
        shown = np.abs(times).argmin(axis=1)
        assert np.abs(times[np.arange(len(shown)), shown]).max() < 1e-3
        drawn, scale = truth.keypoints[shown], row["work_width_px"] / row["width_px"]
        distance = np.linalg.norm(np.array(row["keypoints"])[..., :2] - drawn[..., :2] * scale, axis=-1)
        there = drawn[..., 2] > 0
        size = (
            np.array([np.ptp(points[seen][:, :2], axis=0).max() for points, seen in zip(drawn, there, strict=True)])
            * scale
        )
        assert np.mean((distance < 0.15 * size[:, None])[there]) > 0.8
        masks = rle.decode(row["character_mask"])
        true = [cv2.resize(m.astype(np.uint8), masks.shape[:0:-1]) > 0 for m in truth.character_mask[shown]]
        assert (masks & true).sum() / (masks | true).sum() > 0.75


def test_a_second_run_does_nothing_and_keeps_its_mlflow_run(corpus: Corpus) -> None:
    before = rows(corpus.dataset)
    config = small_config()
    again = prepare(
        str(corpus.clips),
        str(corpus.dataset),
        config=config,
        options=options(corpus.root),
        console=Console(json_only=True),
    )
    assert (again.exit_code, again.summary["rows_run"]) == (0, 0)
    assert again.summary["mlflow_run_id"] == corpus.prepared.summary["mlflow_run_id"]
    assert rows(corpus.dataset) == before
    database = (corpus.root / "mlflow.db").read_bytes()
    prepare(
        str(corpus.clips),
        str(corpus.dataset),
        config=config,
        options=options(corpus.root),
        console=Console(json_only=True),
    )
    assert (corpus.root / "mlflow.db").read_bytes() == database


PLAIN_READER = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"ray", "jobs", "pipelines", "stages", "models", "torch"}:
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, Refuse())
import duckdb, numpy as np, pandas as pd, pyarrow.dataset as ds

root = sys.argv[1]
table = ds.dataset(root).to_table()
frame = pd.read_parquet(root)
count, width = duckdb.sql(f"SELECT count(*), max(work_width_px) FROM '{root}/*.parquet'").fetchall()[0]
assert table.num_rows == len(frame) == count, (table.num_rows, len(frame), count)
keypoints = np.array(table["keypoints"][0].as_py(), np.float32)
assert keypoints.shape[1:] == (133, 3)
score = duckdb.sql(f"SELECT keypoints[1][1][3] FROM '{root}/*.parquet' ORDER BY clip_id LIMIT 1").fetchall()[0][0]
assert 0 <= score <= 1
import json
print(json.loads(table.schema.metadata[b"zoetrope"])["dataset"])
"""


def test_any_reader_opens_it_without_ray_or_this_project(corpus: Corpus) -> None:
    command = [sys.executable, "-c", PLAIN_READER, str(corpus.dataset)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "prepare"


def test_a_threshold_redoes_its_stage_only(corpus: Corpus, tmp_path: Path) -> None:
    for path in corpus.dataset.glob("*.parquet"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = rows(tmp_path)
    config = small_config("prepare.select.min_motion_magnitude=1000")
    done = prepare(
        str(corpus.clips), str(tmp_path), config=config, options=options(tmp_path), console=Console(json_only=True)
    )
    assert done.summary["rejected"] == done.summary["rows"]
    after = rows(tmp_path)
    for clip_id, row in after.items():
        assert set(row["seconds_by_stage"]) == {"select"}
        changed = {name for name in PREPARED_COLUMNS if row[name] != before[clip_id][name]}
        assert changed == set()
        assert row["reason"] == "NoMotion"


def test_what_is_no_video_fails_alone_and_retry_runs_it_again(ray_cluster: None, tmp_path: Path) -> None:
    from jobs.verbs.puppets import write_puppets

    write_puppets(tmp_path / "puppets", num_videos=1, seed=2, size_px=(96, 64), fps=12, seconds=1.0)
    sources = tmp_path / "videos"
    sources.mkdir()
    good = next((tmp_path / "puppets" / "videos").glob("*.mp4")).read_bytes()
    (sources / "good.mp4").write_bytes(good)
    (sources / "broken.mp4").write_bytes(b"<html>404</html>")
    quiet, config = Console(json_only=True), small_config()
    how = options(tmp_path, max_failed="50%")
    first = ingest([str(sources)], str(tmp_path / "out"), objects=None, config=config, options=how, console=quiet)
    assert (first.exit_code, first.summary["ok"], first.summary["failed"]) == (0, 1, 1)
    assert list(first.summary["reasons"]) == ["NotAVideo"]
    # Repaired, but run again only by `retry`: a normal run skips rows that failed.
    strict = options(tmp_path, max_failed="0", retry=Retry(reasons=("NotAVideo",)))
    still = retry(str(tmp_path / "out" / "videos"), options=strict, console=quiet)
    assert (still.exit_code, still.summary["failed"], still.summary["rows_run"]) == (1, 1, 1)
    (sources / "broken.mp4").write_bytes(good)
    mended = retry(str(tmp_path / "out" / "videos"), options=strict, console=quiet)
    assert (mended.exit_code, mended.summary["ok"]) == (0, 2)
    clips = pq.read_table(tmp_path / "out" / "clips").to_pylist()
    assert len(clips) == 2
    assert clips[0]["fingerprint"] == clips[1]["fingerprint"]


def test_mlflow_holds_the_run_and_no_secret(corpus: Corpus) -> None:
    with sqlite3.connect(corpus.root / "mlflow.db") as database:
        runs = database.execute("SELECT name, status, run_uuid FROM runs").fetchall()
        named = {" ".join(name.split()[:2]): (status, run_id) for name, status, run_id in runs}
        folder = corpus.root.name
        assert named[f"ingest {folder}/videos"][0] == "FINISHED"
        status, run_id = named[f"prepare {folder}/prepared"]
        assert status == "FINISHED"
        query = "SELECT key, value FROM params WHERE run_uuid = ?"
        parameters = dict(database.execute(query, [run_id]).fetchall())
        assert len(parameters["pipeline_key"]) >= 16
        assert parameters["prepare.decode.short_side_px"] == "128"
        assert parameters["network.pose"] == "embedded"
        assert not any(key.startswith("ingest.") for key in parameters)
        metrics = dict(database.execute("SELECT key, value FROM latest_metrics").fetchall())
    assert metrics["rows_failed"] == 0
    names = {path.name for path in (corpus.root / "mlruns").rglob("*") if path.is_file()}
    assert {"report.html", "config.yaml"} <= names


def test_mlflow_being_down_fails_no_job(corpus: Corpus, tmp_path: Path) -> None:
    down = Options(tracking_uri="http://127.0.0.1:9")
    done = prepare(
        str(corpus.clips),
        str(tmp_path / "out"),
        config=small_config("prepare.decode.short_side_px=64"),
        options=Options(tracking_uri=down.tracking_uri, limit=1),
        console=Console(json_only=True),
    )
    assert done.exit_code == 0
    assert done.summary["mlflow_run_id"] is None


def test_report_and_compact_work_on_a_finished_dataset(corpus: Corpus) -> None:
    quiet = Console(json_only=True)
    page = corpus.dataset / "_report" / "report.html"
    page.unlink()
    assert report(str(corpus.dataset), options=options(corpus.root), console=quiet).exit_code == 0
    text = page.read_text()
    assert "network of pose" in text
    assert f"embedded ({corpus.prepared.summary['rows']} rows)" in text
    assert compact(str(corpus.dataset), console=quiet).summary["rows"] == 0


def test_the_command_line_end_to_end(corpus: Corpus, tmp_path: Path) -> None:
    """One clip in a subprocess; stdout holds the JSON object only."""
    command = [
        str(Path(sys.executable).with_name("zoetrope")),
        "prepare",
        str(corpus.clips),
        "--out",
        str(tmp_path / "out"),
    ]
    command += [*PUPPETS, "--limit", "1", "--json", "--set", "prepare.decode.short_side_px=64"]
    command += ["--tracking-uri", tracking_uri(tmp_path / "mlflow.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["not_run"], summary["exit_code"]) == (1, 0, 0)
    assert "drawn puppets only" in done.stderr
    assert "prepare: 1 rows in = " in done.stderr


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("uri", "ftp://example.org/a.mp4", "NotAllowed"),
        ("uri", "http://169.254.169.254/latest/meta-data", "NotAllowed"),
        ("uri", "concat:/etc/passwd|/etc/hosts", "NotFound"),
        ("uri", "/nowhere/a.mp4", "NotFound"),
        ("uri", "a\0b.mp4", "NotAllowed"),
        ("uri", "/" + "x" * 10_000, "InvalidRow"),
        ("num_frames", -1, "InvalidRow"),
        ("num_frames", 2**31 - 1, "TooLarge"),
        ("fps", float("nan"), "InvalidRow"),
        ("start_seconds", 1e9, "MissingFrames"),
        ("start_seconds", 1e12, "InvalidRow"),
        ("size_bytes", 17, "SourceChanged"),
    ],
)
def test_a_hostile_row_fails_with_its_reason(
    corpus: Corpus, tmp_path: Path, column: str, value: Any, reason: str
) -> None:
    """Calls the failing stage directly; failures within a job are tested elsewhere."""
    from pipelines.engine.keys import stage_keys
    from stages.chain import run_row
    from stages.prepare.decode import DecodeConfig, DecodeStage

    row = pq.read_table(corpus.clips).to_pylist()[0]
    stage = DecodeStage(DecodeConfig())
    stage.open()
    try:
        done = run_row({**row, column: value}, [stage], stage_keys([stage]))
    finally:
        stage.close()
    assert (done["status"], done["reason"]) == ("failed", reason), done.get("message")


def test_manifest_columns_of_a_person_are_kept(corpus: Corpus, tmp_path: Path) -> None:
    table = pq.read_table(corpus.clips).slice(0, 1)
    table = table.append_column("caption", pa.array(["a puppet dances"]))
    pq.write_table(table, tmp_path / "clips.parquet")
    config = small_config("prepare.decode.short_side_px=64")
    out = tmp_path / "out"
    prepare(
        str(tmp_path / "clips.parquet"),
        str(out),
        config=config,
        options=options(tmp_path),
        console=Console(json_only=True),
    )
    assert [row["caption"] for row in rows(out).values()] == ["a puppet dances"]
