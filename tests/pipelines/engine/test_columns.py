"""Columns of a user's own, through planning."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy import OPTIONAL, REQUIRED, WRITTEN, ledger_at, steps

from pipelines.engine.columns import reserved_columns
from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, ManifestError
from pipelines.engine.plan import Plan
from pipelines.engine.schema import dataset_schema

TIMES = itertools.count(1)
RESERVED = reserved_columns([step.stage for step in steps()], WRITTEN)


def plan_of(path: Path, ledger: Ledger) -> Plan:
    manifest = Manifest(url=str(path), id_column="clip_id", required=REQUIRED, optional=OPTIONAL)
    return Plan(manifest, ledger, key_columns=("value",), pipeline="p", reserved=RESERVED)


def run(path: Path, ledger: Ledger) -> None:
    plan = plan_of(path, ledger)
    schema = dataset_schema("toy", plan.manifest_schema, WRITTEN)
    for row in plan.rows(0, plan.num_pending):
        ledger.commit({**row, "pipeline_key": "p", "status": "ok", "committed_at": next(TIMES), "attempts": 1}, schema)
    ledger.compact()


def write(path: Path, **columns: Any) -> Path:
    count = len(next(iter(columns.values())))
    ids = {"clip_id": [f"c{number}" for number in range(count)], "value": list(range(count))}
    pq.write_table(pa.table({**ids, **columns}), path)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("status", "stage", "attempts", "stage_keys", "work_key", "weights", "committed_at", "STATUS", "Message"),
        *("filename", "position", "previous_file", "frames", "total", "_committed", "_reusable", "_file"),
    ],
)
def test_names_that_datasets_reserve_are_refused_before_the_first_row(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "m.parquet", **{name: ["x"]})
    with pytest.raises(ManifestError, match=rf"\['{name}'\] have names that datasets reserve") as refused:
        plan_of(path, ledger_at(tmp_path / "out"))
    assert "\n" not in str(refused.value)


def test_a_dataset_of_a_job_is_not_a_manifest(tmp_path: Path) -> None:
    run(write(tmp_path / "m.parquet", caption=["a"]), ledger_at(tmp_path / "out"))
    with pytest.raises(ManifestError, match="because a job wrote this table; give what that job was given"):
        plan_of(tmp_path / "out", ledger_at(tmp_path / "other"))


def test_text_of_a_csv_file_stays_text(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path / "out")
    path = tmp_path / "m.csv"
    for takes in (["1", "2"], ["1", "2", "3b"], ["1", "2", "3b", "007"]):
        path.write_text("clip_id,value,take\n" + "".join(f"c{n},{n},{take}\n" for n, take in enumerate(takes)))
        run(path, ledger)
    assert [row["take"] for row in ledger.rows()] == ["1", "2", "3b", "007"]


def test_types_are_those_of_the_first_rows(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path / "out")
    run(write(tmp_path / "m.parquet", take=[1], tags=[["a"]]), ledger)
    run(write(tmp_path / "m.parquet", take=["1", "2"], tags=[["a"], None]), ledger)
    assert pq.read_schema(tmp_path / "out" / "rows-000000.parquet").field("take").type == pa.int64()
    for takes in (["1", "3b"], [1.0, 2.5], ["1", "02"], [[1], [2]]):
        with pytest.raises(ManifestError, match=r"column 'take' holds .*, but the dataset's rows have BIGINT; convert"):
            plan_of(write(tmp_path / "m.parquet", take=takes), ledger)


def test_a_dataset_with_a_column_of_two_types_goes_on(tmp_path: Path) -> None:
    """Earlier versions wrote the types of each manifest."""
    ledger = ledger_at(tmp_path / "out")
    run(write(tmp_path / "m.parquet", take=[1]), ledger)
    schema = dataset_schema("toy", pa.schema([*REQUIRED.items(), *OPTIONAL.items(), ("take", pa.string())]), WRITTEN)
    row = {"clip_id": "c1", "value": 1, "work_key": "k", "pipeline_key": "p", "status": "ok", "committed_at": 1}
    ledger.commit({**row, "take": "3b"}, schema)
    ledger.compact()
    assert [row["take"] for row in ledger.rows()] == ["1", "3b"]
    run(write(tmp_path / "m.parquet", take=[1, 2, 3]), ledger)
    assert [row["take"] for row in ledger.rows()] == ["1", "2", "3"]


def test_a_dataset_with_a_column_named_filename_goes_on(tmp_path: Path) -> None:
    """Earlier versions took it along, and could not read it."""
    ledger = ledger_at(tmp_path / "out")
    schema = dataset_schema(
        "toy", pa.schema([*REQUIRED.items(), *OPTIONAL.items(), ("filename", pa.string())]), WRITTEN
    )
    row = {"clip_id": "c0", "value": 0, "work_key": "k", "pipeline_key": "p", "status": "ok", "committed_at": 1}
    ledger.commit({**row, "filename": "mine"}, schema)
    ledger.compact()
    plan = plan_of(write(tmp_path / "m.parquet", caption=[None, "b"]), ledger)
    assert (plan.total, plan.num_pending) == (2, 1)


def test_columns_of_all_types_travel(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path / "out")
    columns = {
        "maps": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
        "nested": pa.array([{"a": [1]}]),
        "when": pa.array([1], pa.timestamp("us")),
        "nothing": pa.nulls(1),
        "words": pa.array(["a"]).dictionary_encode(),
        'quo"te': ["x"],
    }
    for _ in range(2):
        run(write(tmp_path / "m.parquet", **columns), ledger)
    (row,) = ledger.rows()
    assert row["maps"] == [{"key": "k", "value": 1}]
    assert (row["nested"], row["words"], row['quo"te']) == ({"a": [1]}, "a", "x")
    assert "nothing" not in row


def test_a_column_without_values_has_no_type_yet(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path / "out")
    for captions in (pa.nulls(1), ["a dance"], pa.nulls(1)):
        run(write(tmp_path / "m.parquet", caption=captions, value=[0]), ledger)
    assert [row["caption"] for row in ledger.rows()] == [None]


def test_a_row_with_a_changed_caption_is_written_again_with_all_stages_reused(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path / "out")
    run(write(tmp_path / "m.parquet", caption=["a", "b"]), ledger)
    plan = plan_of(write(tmp_path / "m.parquet", caption=["a", "c"]), ledger)
    (row,) = plan.rows(0, 9)
    assert (row["clip_id"], row["caption"], row["attempts"]) == ("c1", "c", 0)
    assert row["previous_file"].endswith("rows-000000.parquet")
    run(tmp_path / "m.parquet", ledger)
    assert [row["caption"] for row in ledger.rows()] == ["a", "c"]
    assert plan_of(tmp_path / "m.parquet", ledger).num_pending == 0
