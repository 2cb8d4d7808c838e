from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from jobs.engine.console import Console
from jobs.verbs.status import status
from pipelines.engine.ledger import Ledger
from pipelines.engine.lock import dataset_lock
from stages.io.storage import Storage

SCHEMA = pa.schema(
    {
        "clip_id": pa.string(),
        "work_key": pa.string(),
        "job_id": pa.string(),
        "status": pa.string(),
        "reason": pa.string(),
        "committed_at": pa.timestamp("us", "UTC"),
    }
)
NOW = datetime.now(UTC).replace(microsecond=0)
JOB = f"{NOW - timedelta(seconds=100):%Y%m%dT%H%M%S}-abcd"


def commit(ledger: Ledger, clip_id: str, state: str = "ok", *, job_id: str = JOB, reason: str | None = None) -> None:
    """Rows of other jobs are older."""
    committed_at = NOW - timedelta(hours=0 if job_id == JOB else 1)
    row = {"clip_id": clip_id, "work_key": f"{clip_id}-{job_id}", "job_id": job_id, "status": state, "reason": reason}
    ledger.commit({**row, "committed_at": committed_at}, SCHEMA)


@pytest.fixture
def dataset(tmp_path: Path) -> Ledger:
    """Of an earlier job two rows, merged; of the present one three, one of which replaces an earlier one."""
    ledger = Ledger(Storage(str(tmp_path / "prepared")), "clip_id")
    commit(ledger, "a", job_id="earlier")
    commit(ledger, "b", "failed", job_id="earlier", reason="Timeout")
    ledger.compact()
    commit(ledger, "b")
    commit(ledger, "c", "failed", reason="DecodeError")
    commit(ledger, "d", "rejected", reason="NoPerson")
    publish(ledger)
    return ledger


def publish(ledger: Ledger, **more: Any) -> None:
    record = {"verb": "prepare", "job_id": JOB, "rows": 13, "pending": 12, **more}
    ledger.storage.publish("_jobs/last.json", json.dumps(record).encode())


def shown(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], list[str]]:
    before = sorted(Path(ledger.storage.root).rglob("*"))
    result = status(ledger.storage.url, console=Console())
    assert result.exit_code == 0
    assert sorted(Path(ledger.storage.root).rglob("*")) == before
    return result.summary, capsys.readouterr().out.splitlines()


def test_a_running_job_shows_its_holder_counts_and_time(
    dataset: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.verbs.status.time", SimpleNamespace(time=NOW.timestamp))
    with dataset_lock(dataset.storage, JOB):
        summary, lines = shown(dataset, capsys)
    counts = "4 rows = 2 ok + 1 rejected + 1 failed (DecodeError 1, NoPerson 1)"
    assert lines[0] == f"dataset: {dataset.storage.url}, {counts}"
    assert f"{JOB} (process {os.getpid()} on " in lines[1]
    assert "3 of 12 rows (25%), 1 failed, 0.03 rows/s, 5 min left" in lines[1]
    assert summary["running"]
    assert (summary["ok"], summary["rows_by_job"], summary["failed_by_job"]) == (2, 3, 1)
    assert summary["lock"]["pid"] == os.getpid()


def test_a_killed_job_continues_by_the_same_command(dataset: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    with dataset_lock(dataset.storage, JOB):
        pass
    summary, lines = shown(dataset, capsys)
    assert "was killed after 3 rows; the same command continues it" in lines[1]
    assert (summary["running"], summary["lock"]) == (False, None)


def test_a_finished_job_shows_its_outcome(dataset: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    publish(dataset, end={"exit_code": 1, "seconds": 300.0, "line": "12 rows in = …", "error": "disk full"})
    with dataset_lock(dataset.storage, "compact-1"):
        _, lines = shown(dataset, capsys)
    assert lines[1].endswith("ended after 5 min with exit code 1: 12 rows in = …; disk full")
    assert lines[2].startswith("locked:  by compact-1 (process ")


def test_a_folder_that_no_job_wrote_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was not written by a zoetrope job"):
        status(str(tmp_path), console=Console())
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_on_an_object_store(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger(Storage("memory://status/prepared"), "clip_id")
    commit(ledger, "a")
    publish(ledger)
    with dataset_lock(ledger.storage, JOB):
        assert status(ledger.storage.url, console=Console()).summary["running"]
    assert not status(ledger.storage.url, console=Console()).summary["running"]
