"""Job whose output fills the disk."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import toy

from pipelines.engine.manifest import Manifest
from pipelines.engine.plan import Plan
from pipelines.engine.runner import OutputError, RunLimits, run

VALUES = {f"c{i:02d}": i for i in range(24)}
FAULTS = {"c03": "bad"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """File system of 0.5 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command to make a small disk with")
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def start(tmp_path: Path, out: Path) -> tuple[Plan, Any]:
    url = toy.write_manifest(tmp_path / "manifest.parquet", VALUES, FAULTS)
    ledger, steps = toy.ledger_at(out), toy.steps()
    spec = toy.spec_for(steps, ledger)
    ledger.storage.sweep_temporaries()
    ledger.compact()
    manifest = Manifest(url=url, id_column="clip_id", required=toy.REQUIRED, optional=toy.OPTIONAL)
    plan = Plan(manifest, ledger, key_columns=["value"], pipeline=spec.pipeline_key)
    return plan, lambda: run(plan, steps, spec, RunLimits(rows_per_block=2, rows_per_round=12))


def fill(path: Path, leave_bytes: int) -> None:
    """Fill the disk except for `leave_bytes`."""
    path.write_bytes(bytes(shutil.disk_usage(path.parent).free - leave_bytes))


def files_of(out: Path) -> list[Path]:
    """Files with rows, or that should not be there; the description of the dataset is none."""
    return [path for path in out.rglob("*") if path.is_file() and path != out / ".huggingface.yaml"]


@pytest.mark.parametrize("left_bytes", [0, 48 << 10])
def test_a_full_disk_stops_the_job_which_continues_when_there_is_room(
    ray_cluster: None, tmp_path: Path, small_disk: Path, left_bytes: int
) -> None:
    out = small_disk / "out"
    out.mkdir()
    fill(small_disk / "filler", left_bytes)
    plan, go = start(tmp_path, out)
    assert plan.num_pending == len(VALUES)
    with pytest.raises(
        OutputError, match=r"cannot write to .*No space left on device.*make room .* run the same command again"
    ) as full:
        go()
    assert str(out) in str(full.value)
    plan.close()
    # All visible files are complete.
    visible_ids = [row["clip_id"] for path in files_of(out) for row in pq.read_table(path).to_pylist()]
    assert len(visible_ids) < len(VALUES)
    assert (len(visible_ids) > 0) == (left_bytes > 0)

    (small_disk / "filler").unlink()
    plan, go = start(tmp_path, out)
    assert plan.num_pending == len(VALUES) - len(visible_ids)
    go()
    counts = plan.counts()
    assert (counts.ok, counts.failed, counts.not_run) == (len(VALUES) - 1, 1, 0)
    rows = [row["clip_id"] for row in toy.ledger_at(out).rows()]
    assert sorted(rows) == sorted(VALUES)
    assert [path.name for path in files_of(out)] == ["rows-000000.parquet"]
