"""Concurrent jobs on one output: the second is refused, and later runs the remaining rows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_jobs import Corpus, options, small_config, tracking_uri

from jobs.engine.console import Console
from jobs.verbs.ingest import ingest
from pipelines.engine.lock import DatasetBusyError, dataset_lock
from stages.io.storage import Storage

ZOETROPE = str(Path(sys.executable).with_name("zoetrope"))
SETTINGS = (
    "prepare.preset=puppets",
    "prepare.decode.short_side_px=64",
    "workers.default.actors=1",
    "limits.rows_per_block=1",
)


def command(clips: Path, out: Path, *more: str) -> list[str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    tracking = tracking_uri(out.parent / "mlflow.db")
    return [ZOETROPE, "prepare", str(clips), "--out", str(out), "--tracking-uri", tracking, "--json", *settings, *more]


def ids_of(dataset: Path) -> list[str]:
    names: list[str] = pq.read_table(dataset, columns=["clip_id"])["clip_id"].to_pylist()
    return sorted(names)


@pytest.mark.nightly  # the test below and tests/pipelines/engine/test_lock.py refuse a second job without running one
@pytest.mark.slow
def test_the_second_job_is_refused_and_later_does_the_rest(corpus: Corpus, tmp_path: Path) -> None:
    table = pq.read_table(corpus.clips)
    first_clip = table.slice(0, 1)
    column = table.schema.get_field_index("clip_id")
    names = [f"clip-{number:02d}" for number in range(5)]
    copies = [first_clip.set_column(column, "clip_id", pa.array([name])) for name in names]
    pq.write_table(pa.concat_tables(copies), tmp_path / "clips.parquet")
    pq.write_table(pa.concat_tables(copies[:3]), tmp_path / "fewer.parquet")
    out = tmp_path / "out"

    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    first = subprocess.Popen(command(tmp_path / "fewer.parquet", out), **pipes)
    try:
        while not list(out.glob("_parts/*.parquet")):
            assert first.poll() is None, first.stderr.read() if first.stderr else ""
            time.sleep(0.05)
        first.send_signal(signal.SIGSTOP)  # so that it still holds the dataset, however fast it is
        second = subprocess.run(command(tmp_path / "clips.parquet", out), **pipes, check=False)
        first.send_signal(signal.SIGCONT)
        stdout, stderr = first.communicate(timeout=200)
    finally:
        first.kill()
    assert (second.returncode, second.stdout) == (2, "")
    (line,) = second.stderr.splitlines()
    assert line.startswith(f"error: another job is writing to {out} (")
    assert f'"pid": {first.pid}' in line
    assert line.endswith("wait for it to end, stop it, or give this job another --out")

    assert first.returncode == 0, stderr
    summary = json.loads(stdout)
    assert (summary["rows"], summary["rows_run"]) == (3, 3)
    assert ids_of(out) == names[:3]

    third = subprocess.run(command(tmp_path / "clips.parquet", out), **pipes, check=False)
    assert third.returncode == 0, third.stderr
    summary = json.loads(third.stdout)
    assert (summary["rows"], summary["rows_run"], summary["not_run"]) == (5, 2, 0)
    assert ids_of(out) == names


def test_a_refused_ingest_leaves_the_sources_of_the_running_one(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_bytes(b"not looked into")
    running = Storage(str(tmp_path / "out" / "videos"))
    running.publish("_jobs/sources.parquet", b"of the running job")
    with dataset_lock(running, "running"), pytest.raises(DatasetBusyError, match='"job_id": "running"'):
        ingest(
            [str(tmp_path / "b.mp4")],
            str(tmp_path / "out"),
            objects=None,
            config=small_config(),
            options=options(tmp_path),
            console=Console(json_only=True),
        )
    assert running.read("_jobs/sources.parquet") == b"of the running job"
