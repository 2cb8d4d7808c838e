"""Starting: the time of commands from the shell's prompt to their end, against the start of the libraries beneath them.

Peers: `python -c "import ray.data"`, which every command that imports Ray at its start would pay, and a process that
starts a local Ray and runs one task of Ray Data in it. Commands and peers run in turns; what they print is checked.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ZOETROPE = str(Path(sys.executable).with_name("zoetrope"))
IMPORT_RAY = [sys.executable, "-c", "import ray.data"]
RAY_TASK = """
import ray, ray.data
ray.init("local", include_dashboard=False, logging_level="ERROR", log_to_driver=False, object_store_memory=200 << 20)
ray.data.DataContext.get_current().enable_progress_bars = False
assert ray.data.range(1).map(lambda row: {"id": row["id"] + 1}).take_all() == [{"id": 1}]
"""


def timed(command: Sequence[str], folder: Path) -> tuple[float, str]:
    """Seconds and output of a command."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:80]} ended with {done.returncode}: {done.stderr[-500:]}")
    return seconds, done.stdout


def cases(number: int) -> dict[str, tuple[list[str], str]]:
    """Command and expected part of its output, by name. `number` makes the dataset of a job a new one."""
    ingest = [ZOETROPE, "ingest", "puppets/videos", "--out"]
    return {
        "zoetrope --help": ([ZOETROPE, "--help"], "First steps"),
        "zoetrope config": ([ZOETROPE, "config"], "prepare.decode.short_side_px"),
        "zoetrope status": ([ZOETROPE, "status", "done"], "1 ok"),
        "job, nothing to do": ([*ingest, "done"], "1 done before, 0 to do"),
        "job, one small video": ([*ingest, f"new-{number}"], "1 rows in = 1 ok"),
        "python, import ray.data": (IMPORT_RAY, ""),
        "python, one task of Ray Data": ([sys.executable, "-c", RAY_TASK], ""),
    }


def measure(rounds: int) -> Mapping[str, list[float]]:
    """Seconds of each case in each round."""
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = ("--videos", "1", "--size", "96", "128", "--fps", "8", "--seconds", "2")
        timed([ZOETROPE, "puppets", "puppets", *small], folder)
        timed([ZOETROPE, "ingest", "puppets/videos", "--out", "done"], folder)
        for number in range(rounds):
            for case, (command, expected) in cases(number).items():
                taken, out = timed(command, folder)
                if expected not in out:
                    raise RuntimeError(f"{case}: expected {expected!r} in {out[-500:]}")
                seconds.setdefault(case, []).append(taken)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    medians = {case: statistics.median(values) for case, values in measure(parser.parse_args().rounds).items()}
    ray_import, ray_task = medians["python, import ray.data"], medians["python, one task of Ray Data"]
    for case, seconds in medians.items():
        ratios = f"{seconds / ray_import:6.2f} x import ray.data {seconds / ray_task:6.2f} x task"
        print(f"{case:<30} {seconds:6.2f} s {ratios}")
    figures = {case: round(seconds, 3) for case, seconds in medians.items()}
    print(json.dumps({"benchmark": "startup", "median_seconds": figures, "cpus": os.cpu_count()}))


if __name__ == "__main__":
    main()
