from __future__ import annotations

from pathlib import Path
from typing import Any

import toy

from pipelines.engine.explain import differences, publish_stages, reasons
from pipelines.engine.manifest import Manifest
from pipelines.engine.plan import Plan
from pipelines.engine.snapshot import LedgerSnapshot
from pipelines.engine.steps import Step
from pipelines.engine.worker import Worker, pack
from stages.io.storage import Storage


def plan_of(tmp_path: Path, values: dict[str, int], steps: list[Step], **how: Any) -> tuple[Plan, Any]:
    url = toy.write_manifest(tmp_path / "manifest.parquet", values)
    ledger = LedgerSnapshot(Storage(str(tmp_path / "out")), "clip_id")
    spec = toy.spec_for(steps, ledger)
    manifest = Manifest(url=url, id_column="clip_id", required=toy.REQUIRED, optional=toy.OPTIONAL)
    return Plan(manifest, ledger, key_columns=["value"], pipeline=spec.pipeline_key, **how), spec


def run(tmp_path: Path, values: dict[str, int], steps: list[Step]) -> None:
    import pyarrow as pa

    plan, spec = plan_of(tmp_path, values, steps)
    rows = [{**row, "attempts": 1} for row in plan.rows(0, 100)]
    worker = Worker(spec, [step.stage.name for step in steps], last=True, threads=1)
    list(worker(pa.table({"row": pa.array([pack(row) for row in rows], pa.large_binary())})))
    publish_stages(spec.ledger.storage, spec.stages, spec.keys)


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_plan_says_why_each_row_is_run(tmp_path: Path) -> None:
    run(tmp_path, {"a": 1, "b": 2, "c": 3}, toy.steps())
    before = tree(tmp_path / "out")
    changed = toy.steps(total=toy.SumConfig(factor=2.0))
    plan, spec = plan_of(tmp_path, {"a": 1, "b": 20, "c": 3, "new": 4}, changed)
    why = reasons(plan, spec.stages, spec.keys)
    assert (plan.num_pending, why.new, why.num_changed_inputs, why.stale, why.failed_before) == (4, 1, 1, 2, 0)
    assert why.changed_inputs == {"value": 1}
    assert [(one.stage, one.num_rows, one.changes) for one in why.changed] == [
        ("sum", 2, ("factor: 1.0 → 2.0",)),
        ("select", 2, ()),
    ]
    assert (why.run_again, why.reused) == (("decode", "sum", "select"), ())
    assert why.num_timed == why.num_stored == 3
    assert why.memory_mib is not None
    assert 50 < why.memory_mib < 50_000  # of this process, in which the rows were run
    assert why.seconds_by_stage.keys() == {"decode", "sum", "select"}
    # Uncompacted rows were read where they are.
    assert tree(tmp_path / "out") == before
    assert not list((tmp_path / "out").glob("rows-*"))


def test_a_changed_threshold_runs_its_stage_only(tmp_path: Path) -> None:
    run(tmp_path, {"a": 1}, toy.steps())
    plan, spec = plan_of(tmp_path, {"a": 1}, toy.steps(select=toy.SelectConfig(max_total=5)))
    why = reasons(plan, spec.stages, spec.keys)
    assert (why.stale, why.run_again, why.reused) == (1, ("select",), ("decode", "sum"))
    plan, spec = plan_of(tmp_path, {"a": 1}, toy.steps())
    assert plan.num_pending == 0


def test_a_plan_of_no_dataset_makes_none(tmp_path: Path) -> None:
    plan, spec = plan_of(tmp_path, {"a": 1, "b": 2}, toy.steps(), sample=1)
    why = reasons(plan, spec.stages, spec.keys)
    assert (plan.num_manifest_rows, plan.num_pending, why.new) == (2, 1, 1)
    assert not (tmp_path / "out").exists()


def test_long_differences_are_cut_short() -> None:
    before = {f"setting{i}": i for i in range(6)}
    lines = differences(before, dict.fromkeys(before, "x" * 100))
    assert lines[-1] == "and 2 more"
    assert lines[0].startswith('setting0: 0 → "xxx')
    assert max(map(len, lines)) < 100
