from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import toy

from pipelines.engine.manifest import Manifest
from pipelines.engine.plan import Plan, Retry
from pipelines.engine.runner import RayStoppedError, RunLimits, TooManyFailuresError, run
from pipelines.engine.steps import Step

pytestmark = pytest.mark.usefixtures("ray_cluster")


def job(
    tmp_path: Path,
    values: dict[str, int],
    faults: dict[str, str] | None = None,
    *,
    steps: list[Step] | None = None,
    retry: Retry | None = None,
    limits: RunLimits | None = None,
    row_timeout_seconds: float = 60.0,
) -> Any:
    url = toy.write_manifest(tmp_path / "manifest.parquet", values, faults)
    ledger = toy.ledger_at(tmp_path / "out")
    pipeline = steps or toy.steps()
    spec = toy.spec_for(pipeline, ledger, row_timeout_seconds=row_timeout_seconds)
    manifest = Manifest(url=url, id_column="clip_id", required=toy.REQUIRED, optional=toy.OPTIONAL)
    ledger.compact()
    plan = Plan(manifest, ledger, key_columns=["value"], pipeline=spec.pipeline_key, retry=retry)
    tally = run(plan, pipeline, spec, limits or RunLimits(rows_per_block=3))
    return plan, tally, {row["clip_id"]: row for row in ledger.rows()}


def test_every_row_ends_with_its_outcome(tmp_path: Path) -> None:
    values = {f"c{i}": i for i in range(10)}
    faults = {"c1": "bad", "c3": "raise", "c5": "memory"}
    plan, _, rows = job(tmp_path, values, faults, steps=toy.steps(select=toy.SelectConfig(max_total=20)))
    assert {name: row["reason"] for name, row in rows.items() if row["status"] == "failed"} == {
        "c1": "DecodeError",
        "c3": "UnexpectedError",
        "c5": "OutOfMemory",
    }
    assert [name for name, row in rows.items() if row["status"] == "rejected"] == ["c7", "c8", "c9"]
    assert "unexpected, asked for" in rows["c3"]["message"]
    assert rows["c4"]["total"] == 12.0
    assert rows["c4"]["attempts"] == 1
    counts = plan.counts()
    assert (counts.total, counts.ok, counts.rejected, counts.failed) == (10, 4, 3, 3)
    assert counts.accounted


def test_a_second_run_has_nothing_to_do_and_a_changed_row_is_redone(tmp_path: Path) -> None:
    values = {f"c{i}": i for i in range(6)}
    job(tmp_path, values)
    plan, _, _ = job(tmp_path, values)
    assert plan.num_pending == 0
    plan, tally, rows = job(tmp_path, {**values, "c2": 200, "new": 1})
    assert (plan.num_pending, tally.rows) == (2, 2)
    assert rows["c2"]["total"] == 600.0
    assert len(rows) == 7


def test_a_changed_setting_redoes_only_the_stages_it_touches(tmp_path: Path) -> None:
    values = {f"c{i}": i for i in range(4)}
    log = tmp_path / "log"

    def steps(**changes: Any) -> list[Step]:
        return toy.steps(decode=toy.DecodeConfig(log=str(log)), total=toy.SumConfig(log=str(log)), **changes)

    job(tmp_path, values, steps=steps())
    assert len(log.read_text().splitlines()) == 8
    # A changed threshold: neither decode nor sum runs again, and the row has a new outcome.
    log.unlink()
    plan, _, rows = job(tmp_path, values, steps=steps(select=toy.SelectConfig(max_total=5)))
    assert plan.num_pending == 4
    assert not log.exists()
    assert {name: row["status"] for name, row in rows.items()} == {
        "c0": "ok",
        "c1": "ok",
        "c2": "rejected",
        "c3": "rejected",
    }
    assert rows["c1"]["total"] == 3.0
    # A changed stage that reads frames: decode runs again.
    pipeline = toy.steps(decode=toy.DecodeConfig(log=str(log)), total=toy.SumConfig(log=str(log), factor=2.0))
    _, _, rows = job(tmp_path, values, steps=pipeline)
    assert sorted(log.read_text().splitlines())[:2] == ["decode c0", "decode c1"]
    assert rows["c1"]["total"] == 6.0


def test_a_killed_worker_costs_its_row_only(tmp_path: Path) -> None:
    values = {f"c{i}": i for i in range(7)}
    plan, _, rows = job(tmp_path, values, {"c4": "kill"})
    assert rows["c4"]["reason"] == "Crash"
    assert rows["c4"]["attempts"] == 2
    assert sum(row["status"] == "ok" for row in rows.values()) == 6
    assert plan.counts().accounted


def test_rows_that_hang_stop_their_process_or_keep_its_lock_time_out(tmp_path: Path) -> None:
    values = {f"c{i}": i for i in range(6)}
    faults = {"c1": "hang", "c3": "stop", "c5": "hold"}
    plan, tally, rows = job(tmp_path, values, faults, row_timeout_seconds=2.0)
    assert (tally.rows, tally.failed) == (6, 3)
    assert {name: row["reason"] for name, row in rows.items() if row["status"] != "ok"} == dict.fromkeys(
        faults, "Timeout"
    )
    assert rows["c3"]["message"].startswith("the row took longer than 2 s; raise limits.row_timeout_seconds")
    assert plan.counts().accounted


def test_retry_runs_matching_failures_again(tmp_path: Path) -> None:
    values = {f"c{i}": i for i in range(4)}
    url = toy.write_manifest(tmp_path / "manifest.parquet", values, {"c1": "bad", "c2": "raise"})
    job(tmp_path, values, {"c1": "bad", "c2": "raise"})
    plan, _, rows = job(tmp_path, values, {"c1": "bad"}, retry=Retry(reasons=("UnexpectedError",)))
    assert url
    assert plan.num_pending == 1
    assert (rows["c2"]["status"], rows["c2"]["attempts"], rows["c1"]["status"]) == ("ok", 2, "failed")


def test_too_many_failures_stop_the_job_and_keep_what_was_done(tmp_path: Path) -> None:
    values = {f"c{i:02d}": i for i in range(30)}
    faults = {f"c{i:02d}": "bad" for i in range(5)}
    with pytest.raises(TooManyFailuresError, match=r"--max-failed allows 2.*c00: DecodeError: asked for"):
        job(tmp_path, values, faults, limits=RunLimits(rows_per_block=1, max_failed=2))
    ids = [row["clip_id"] for row in toy.ledger_at(tmp_path / "out").rows()]
    assert len(ids) == len(set(ids)) >= 3
    plan, _, rows = job(tmp_path, values, faults)
    assert len(rows) == 30
    assert plan.counts().failed == 5


def test_workers_that_cannot_start_end_the_job_with_their_reason(tmp_path: Path) -> None:
    pipeline = toy.steps()
    pipeline[1] = Step(stage=toy.UnopenableStage(toy.SumConfig()), workers=pipeline[1].workers)
    with pytest.raises(RayStoppedError, match=r"Ray stopped the job: FileNotFoundError: no weights at nowhere$"):
        job(tmp_path, {"c1": 1}, steps=pipeline)


def test_steps_with_other_workers_hand_rows_over(tmp_path: Path) -> None:
    pipeline = toy.steps()
    from pipelines.engine.steps import Workers

    pipeline[1:] = [Step(stage=step.stage, workers=Workers(actors=1, cpus=0.25)) for step in pipeline[1:]]
    _, _, rows = job(tmp_path, {f"c{i}": i for i in range(5)}, {"c2": "bad"}, steps=pipeline)
    assert {name: row["total"] for name, row in rows.items()} == {
        "c0": 0.0,
        "c1": 3.0,
        "c2": None,
        "c3": 9.0,
        "c4": 12.0,
    }
    files = list((tmp_path / "out").glob("rows-*.parquet"))
    assert pq.read_table(files[0]).num_rows == 5
    assert not list((tmp_path / "out" / "_parts").glob("*.parquet"))
