"""Time limit of rows, in a worker process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
import toy

WORKER = """
import ctypes, os, signal, sys, time
import pyarrow as pa
from pipelines.engine.ledger import Ledger
from pipelines.engine.watchdog import Watchdog
from stages.io.storage import Storage

fault, root, limit = sys.argv[1], sys.argv[2], float(sys.argv[3])
schema = pa.schema([("clip_id", pa.string()), ("work_key", pa.string()), ("reason", pa.string())])
watchdog = Watchdog(Ledger(Storage(root), "clip_id"), schema, stopped_seconds=limit)
with watchdog.limit(600, {}):
    pass
if fault == "stop between rows":
    print(watchdog._process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
if fault == "killed watchdog":
    os.kill(watchdog._process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, watchdog._process.pid, os.WEXITED | os.WNOWAIT)
with watchdog.limit(limit, {"clip_id": "a", "work_key": "k", "reason": "Timeout"}):
    print(watchdog._process.pid, flush=True)
    if fault == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "hold":
        ctypes.PyDLL(None).sleep(600)
    elif fault != "none":
        time.sleep(600)
watchdog.close()
"""


def start(fault: str, root: Path, limit: float) -> tuple[subprocess.Popen[str], psutil.Process]:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, fault, str(root), str(limit)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    return worker, psutil.Process(int(worker.stdout.readline()))


@pytest.mark.parametrize("fault", ["stop", "hold", "killed watchdog"])
def test_a_row_beyond_its_limit_is_committed_and_its_worker_killed(fault: str, tmp_path: Path) -> None:
    worker, watchdog = start(fault, tmp_path, 0.5)
    assert worker.wait(timeout=120) == -signal.SIGKILL
    watchdog.wait(timeout=120)
    (part,) = toy.ledger_at(tmp_path).part_names()
    (row,) = pq.read_table(tmp_path / "_parts" / Path(part).name).to_pylist()
    assert (row["clip_id"], row["reason"]) == ("a", "Timeout")


def test_a_worker_that_is_stopped_between_rows_is_killed(tmp_path: Path) -> None:
    worker, watchdog = start("stop between rows", tmp_path, 0.5)
    assert worker.wait(timeout=120) == -signal.SIGKILL
    watchdog.wait(timeout=120)
    assert toy.ledger_at(tmp_path).part_names() == []


def test_a_row_within_its_limit_is_left_alone(tmp_path: Path) -> None:
    worker, _ = start("none", tmp_path, 600)
    assert worker.wait(timeout=120) == 0
    assert toy.ledger_at(tmp_path).part_names() == []


def test_the_watchdog_ends_with_its_worker(tmp_path: Path) -> None:
    worker, watchdog = start("hang", tmp_path, 600)
    time.sleep(0.1)
    worker.kill()
    worker.wait(timeout=120)
    watchdog.wait(timeout=120)
