"""A small `ingest` that a fault interrupts and the same command continues, and what its datasets then hold."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import psutil
import pyarrow.parquet as pq
from puppet_media import puppet_frames
from small_jobs import small_config, tracking_uri

from jobs.engine.console import Console
from jobs.engine.spec import JobResult, Options
from jobs.verbs.ingest import ingest
from models.video.encode import write_h264
from pipelines.engine.plan import Retry

ZOETROPE = str(Path(sys.executable).with_name("zoetrope"))
NUM_VIDEOS = 16
DAMAGED = "damaged"
"""Stem of a video that no run can read: its row fails in every run."""
SETTINGS = (
    *("ingest.cut.min_frames=2", "limits.rows_per_block=1", "limits.row_timeout_seconds=8"),
    *("workers.default.actors=2", "workers.default.cpus=0.5", "ingest.probe.sandbox.inspect_timeout_seconds=3"),
)
MACHINE_REASONS = ("Crash", "Timeout", "OutOfMemory")
"""Reasons for which a row fails through no fault of its own; `zoetrope retry --reason` runs these again."""
VARYING = frozenset({"attempts", "committed_at", "job_id", "seconds_by_stage", "worker_memory_mib"})
"""Columns of when and how often a row ran, and of what it measured there."""


def write_videos(folder: Path) -> Path:
    """Small videos of a puppet, no two with as many frames, and one that is damaged."""
    folder.mkdir()
    frames = puppet_frames(8, num_frames=8)
    for number in range(NUM_VIDEOS - 1):
        repeated = frames[[i % len(frames) for i in range(24 + number)]]
        write_h264(folder / f"v{number:02d}.mp4", repeated, fps=8)
    (folder / f"{DAMAGED}.mp4").write_bytes(b"<html>not found</html>")
    return folder


def run_ingest(videos: Path, out: Path, *, tracking: str | None = None) -> JobResult:
    """The job on the test's cluster, which also runs again what a fault made fail.

    Raises:
        ValueError, OSError, RuntimeError: what the command line shows as one line.
    """
    options = Options(
        max_failed="100%",
        retry=Retry(reasons=MACHINE_REASONS),
        tracking_uri=tracking or tracking_uri(out.parent / "mlflow.db"),
    )
    config, console = small_config(*SETTINGS), Console(json_only=True)
    return ingest([str(videos)], str(out), objects=None, config=config, options=options, console=console)


def start_ingest(videos: Path, out: Path, **environment: str) -> Popen[str]:
    """The command on a cluster of its own, in a process group of its own."""
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    tracking = tracking_uri(out.parent / "mlflow.db")
    command = [ZOETROPE, "ingest", str(videos), "--out", str(out), "--tracking-uri", tracking, "--max-failed", "100%"]
    return Popen(
        [*command, *settings],
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        text=True,
        cwd=out.parent,
        env={**os.environ, **environment},
        start_new_session=True,
    )


def processes_under(pid: int) -> list[psutil.Process]:
    """All descendants of a process."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def named(processes: Sequence[psutil.Process], part: str) -> list[psutil.Process]:
    """Those with `part` in their command line."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if part in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end(processes: Sequence[psutil.Process], *, within_seconds: float) -> None:
    """Kill what has not ended by itself."""
    _, alive = psutil.wait_procs(list(processes), timeout=within_seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@dataclass(frozen=True)
class Account:
    """Rows and clips of a dataset."""

    rows: dict[str, str]
    """Digest of each row without the columns `VARYING`, by id."""
    doubled: int
    clips: str
    """Digest of all clips."""


def account(out: Path) -> Account:
    """Read the datasets as any reader does."""
    rows = pq.read_table(out / "videos").to_pylist()
    counts = collections.Counter(row["video_id"] for row in rows)
    clips = sorted(pq.read_table(out / "clips").to_pylist(), key=lambda row: str(row["clip_id"]))
    return Account(
        rows={row["video_id"]: _digest({k: v for k, v in row.items() if k not in VARYING}) for row in rows},
        doubled=counts.total() - len(counts),
        clips=_digest(clips),
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def remove(out: Path) -> None:
    """Delete the datasets of a run that ended before its fault."""
    shutil.rmtree(out, ignore_errors=True)
