"""Rows that fail in less than a millisecond: 100,000 clips whose file is not there, by the real `zoetrope prepare`.

The time is the engine's own: planning, scheduling, commits, compaction, and the report. The
outcome of every row is checked first. Compaction is timed by itself as well: of the same rows, in parts as a job leaves
them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.ledger import Ledger
from pipelines.engine.schema import CLIP_COLUMNS, dataset_schema
from pipelines.prepare import WRITTEN
from stages.io.storage import Storage

ROWS_PER_PART = 500
ROWS_PER_ROUND = 10_000


def write_manifest(path: Path, num_rows: int) -> None:
    """Clips of files that do not exist."""
    columns = {
        "clip_id": [f"clip-{i:07d}" for i in range(num_rows)],
        "uri": [f"/nowhere/video-{i:07d}.mp4" for i in range(num_rows)],
        "fingerprint": ["sha256:0"] * num_rows,
        "width_px": [64] * num_rows,
        "height_px": [64] * num_rows,
        "fps": [24.0] * num_rows,
        "start_seconds": [0.0] * num_rows,
        "num_frames": [8] * num_rows,
        "frame_step": [1] * num_rows,
    }
    pq.write_table(pa.table({name: pa.array(values, CLIP_COLUMNS[name]) for name, values in columns.items()}), path)


def run_job(folder: Path) -> tuple[float, int]:
    """Seconds and peak memory of the driver, in MB, of the whole command."""
    command = [
        sys.executable,
        "-m",
        "jobs.cli",
        "prepare",
        str(folder / "clips.parquet"),
        "--preset",
        "puppets",
        "--out",
        str(folder / "out"),
    ]
    command += ["--max-failed", "100%", "--set", "limits.max_failed_in_a_row=null"]
    command += ["--tracking-uri", f"sqlite:///{folder}/mlflow.db"]
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(0.5)
            try:
                peak = max(peak, psutil.Process(process.pid).memory_info().rss >> 20)
            except psutil.Error:
                continue
    assert process.returncode == 0
    return time.perf_counter() - started, peak


def rounds(num_rows: int) -> Iterator[range]:
    """Row numbers of each round."""
    yield from (range(start, min(start + ROWS_PER_ROUND, num_rows)) for start in range(0, num_rows, ROWS_PER_ROUND))


def time_compaction(folder: Path, num_rows: int) -> float:
    """Seconds of the compactions of all rounds."""
    ledger = Ledger(Storage(str(folder / "compacted")), "clip_id")
    schema = dataset_schema("prepare", pa.schema(list(CLIP_COLUMNS.items())), WRITTEN)
    seconds = 0.0
    for numbers in rounds(num_rows):
        for start in range(numbers.start, numbers.stop, ROWS_PER_PART):
            part = range(start, min(start + ROWS_PER_PART, numbers.stop))
            ledger.commit_group([failed_row(i) for i in part], schema)
        started = time.perf_counter()
        ledger.compact()
        seconds += time.perf_counter() - started
    return seconds


def failed_row(number: int) -> dict[str, object]:
    """A row as a worker commits it."""
    return {
        "clip_id": f"clip-{number:07d}",
        "uri": f"/nowhere/video-{number:07d}.mp4",
        "work_key": f"{number:032x}",
        "status": "failed",
        "stage": "decode",
        "reason": "NotFound",
        "message": f"/nowhere/video-{number:07d}.mp4 does not exist",
        "committed_at": datetime.now(UTC),
        "seconds_by_stage": {"decode": 1e-4},
    }


def main() -> None:
    """Run the job, verify its rows, time compaction, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_manifest(folder / "clips.parquet", arguments.rows)
        seconds, peak_mb = run_job(folder)
        files = sorted((folder / "out").glob("rows-*.parquet"))
        rows = pa.concat_tables([pq.read_table(file, columns=["clip_id", "reason"]) for file in files])
        assert sorted(rows["clip_id"].to_pylist()) == [f"clip-{i:07d}" for i in range(arguments.rows)]
        assert set(rows["reason"].to_pylist()) == {"NotFound"}
        compaction = time_compaction(folder, arguments.rows)
    print(
        json.dumps(
            {
                "benchmark": "failing_rows",
                "rows": arguments.rows,
                "seconds": round(seconds, 1),
                "rows_per_second": round(arguments.rows / seconds),
                "compaction_seconds": round(compaction, 1),
                "compaction_share": round(compaction / seconds, 3),
                "files": len(files),
                "driver_peak_mb": peak_mb,
            }
        )
    )


if __name__ == "__main__":
    main()
