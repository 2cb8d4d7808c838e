"""SIGKILL of the driver after a random number of rows of a whole job on Ray, then the same command again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import toy

DRIVER = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("toy", sys.argv[2])
toy = importlib.util.module_from_spec(spec)
sys.modules["toy"] = toy
spec.loader.exec_module(toy)
import ray
ray.cloudpickle.register_pickle_by_value(toy)
from pipelines.engine.lock import dataset_lock
from pipelines.engine.manifest import Manifest
from pipelines.engine.plan import Plan
from pipelines.engine.runner import RunLimits, configure_ray_data, run

root = Path(sys.argv[1])
ledger = toy.ledger_at(root / "out")
steps = toy.steps(actors=2)
job = toy.spec_for(steps, ledger)
with dataset_lock(ledger.storage, "job"):
    ledger.storage.sweep_temporaries()
    ledger.compact()
    url = str(root / "manifest.parquet")
    manifest = Manifest(url=url, id_column="clip_id", required=toy.REQUIRED, optional=toy.OPTIONAL)
    plan = Plan(manifest, ledger, key_columns=["value"], pipeline=job.pipeline_key)
    if plan.num_pending:
        ray.init("local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        configure_ray_data()
        run(plan, steps, job, RunLimits(rows_per_block=2, rows_per_round=8))
    counts = plan.counts()
    print(counts.line(), flush=True)
    assert counts.accounted
"""

VALUES = {f"c{i:02d}": i for i in range(24)}
FAULTS = {**dict.fromkeys(VALUES, "slow"), "c03": "bad", "c11": "raise"}


def start(root: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", DRIVER, str(root), toy.__file__]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def rows(root: Path) -> dict[str, dict[str, Any]]:
    """Committed rows without columns that depend on the time of the kill."""
    committed = list(toy.ledger_at(root / "out").rows())
    assert len({row["clip_id"] for row in committed}) == len(committed)
    return {
        row["clip_id"]: {
            name: row[name] for name in ("value", "total", "size", "status", "reason", "stage", "work_key")
        }
        for row in committed
    }


@pytest.mark.slow
def test_killed_drivers_leave_the_dataset_of_an_unbroken_run(tmp_path: Path) -> None:
    for name in ("unbroken", "broken"):
        (tmp_path / name).mkdir()
        toy.write_manifest(tmp_path / name / "manifest.parquet", VALUES, FAULTS)
    unbroken = start(tmp_path / "unbroken")
    assert unbroken.wait(timeout=200) == 0
    rng = random.Random(20261121)
    kills = 0
    parts = tmp_path / "broken" / "out" / "_parts"
    for _ in range(2):
        before = set(parts.glob("*.parquet"))
        driver = start(tmp_path / "broken")
        num_rows = rng.randint(1, 3)
        while driver.poll() is None and len(set(parts.glob("*.parquet")) - before) < num_rows:
            time.sleep(0.02)
        kills += driver.poll() is None
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        assert not list(parts.glob("*.partial"))
    last = start(tmp_path / "broken")
    out, _ = last.communicate(timeout=200)
    assert last.returncode == 0
    assert out.startswith("24 rows in = 22 ok + 0 rejected + 2 failed")
    assert kills == 2
    assert rows(tmp_path / "broken") == rows(tmp_path / "unbroken")
