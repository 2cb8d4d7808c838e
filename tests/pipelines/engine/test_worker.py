"""Worker as a plain callable, without Ray."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import toy

from pipelines.engine.worker import ROW_SCHEMA, Worker, pack
from stages.base import Row
from stages.outcome import OutputRefusedError


class RefusedStage(toy.SumStage):
    def process(self, row: Row) -> Row:
        raise OutputRefusedError("ENOSPC: no space left")


def results(worker: Worker, rows: list[Row]) -> list[dict[str, Any]]:
    block = pa.table({"row": [pack(row) for row in rows]}, schema=ROW_SCHEMA)
    return [result for table in worker(block) for result in table.to_pylist()]


@pytest.mark.parametrize("groups", [[["decode", "sum", "select"]], [["decode"], ["sum"], ["select"]]])
def test_a_file_that_the_storage_refuses_is_no_outcome_but_stops_the_job(tmp_path: Path, groups: Any) -> None:
    steps = toy.steps()
    stages = [steps[0].stage, RefusedStage(toy.SumConfig()), steps[2].stage]
    ledger = toy.ledger_at(tmp_path)
    spec = toy.spec_for([toy.Step(stage=stage) for stage in stages], ledger)
    block = [{"clip_id": "a", "value": 1, "fault": None, "work_key": "k", "attempts": 1}]
    for names in groups:
        worker = Worker(spec, names, last=names is groups[-1], threads=1)
        block = results(worker, block)
        if not worker.last:
            block = [pickle.loads(one["row"]) for one in block]
    assert block[0]["commit_error"] == "ENOSPC: no space left"
    assert block[0]["id"] == "a"
    assert ledger.part_names() == []
