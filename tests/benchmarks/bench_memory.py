"""Peak memory of `zoetrope prepare`, driver, Ray and workers together, at two corpus sizes: it must not grow.

Proportional set size, summed over the whole process tree and sampled while the command runs, so that memory which
processes share (Ray's object store, the interpreter) counts once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from corpus import write_clips, write_manifest

SAMPLE_SECONDS = 0.5


def proportional_bytes(process: psutil.Process) -> int:
    """Proportional set size of a process; 0 if it has ended."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def peak_mb(arguments: Sequence[str], out: Path) -> tuple[float, float]:
    """Peak in MB, and seconds, of one `zoetrope` command that writes the dataset `out`."""
    command = [sys.executable, "-m", "jobs.cli", *arguments, "--out", str(out), "--json", "--max-failed", "100%"]
    command += ["--tracking-uri", f"sqlite:///{out.parent}/mlflow.db"]
    started = time.perf_counter()
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as job:
        tree = psutil.Process(job.pid)
        while job.poll() is None:
            try:
                members = [tree, *tree.children(recursive=True)]
            except psutil.Error:
                break
            peak = max(peak, sum(proportional_bytes(member) for member in members))
            time.sleep(SAMPLE_SECONDS)
        output = job.communicate()[0]
    summary = json.loads(output.splitlines()[-1])
    assert job.returncode == 0, summary
    assert summary["not_run"] == 0
    return peak / 2**20, time.perf_counter() - started


def main() -> None:
    """Measure both sizes; print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=(50, 500))
    arguments = parser.parse_args()
    peaks, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = write_clips(root, num_videos=4, num_frames=16, size_px=(192, 128))
        for count in arguments.sizes:
            manifest = write_manifest(root / f"clips{count}.parquet", rows, count)
            settings = ("--set", "prepare.decode.short_side_px=128")
            peak, took = peak_mb(["prepare", str(manifest), "--preset", "puppets", *settings], root / f"out{count}")
            peaks.append(peak)
            seconds.append(took)
    print(
        json.dumps(
            {
                "benchmark": "memory",
                "clips": list(arguments.sizes),
                "peak_mb": [round(peak) for peak in peaks],
                "growth": round(peaks[1] / peaks[0] - 1, 3),
                "seconds": [round(s, 1) for s in seconds],
            }
        )
    )


if __name__ == "__main__":
    main()
