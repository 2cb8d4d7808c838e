from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest
from pipelines.engine.plan import Plan, Retry
from pipelines.engine.schema import dataset_schema
from stages.io.storage import Storage

REQUIRED = {"clip_id": pa.string(), "value": pa.int64()}
SCHEMA = dataset_schema("toy", pa.schema(list(REQUIRED.items())), {})


def plan(root: Path, values: dict[str, int], pipeline: str = "p1", **options: object) -> Plan:
    url = root / "manifest.parquet"
    pq.write_table(pa.table({"clip_id": list(values), "value": list(values.values())}), url)
    manifest = Manifest(url=str(url), id_column="clip_id", required=REQUIRED, optional={})
    ledger = Ledger(Storage(str(root / "out")), "clip_id")
    ledger.compact()
    return Plan(manifest, ledger, key_columns=["value"], pipeline=pipeline, **options)


def commit(root: Path, name: str, value: int, pipeline: str = "p1", status: str = "ok", **columns: object) -> None:
    row = {
        "clip_id": name,
        "value": value,
        "work_key": f"{name}{value}{pipeline}",
        "pipeline_key": pipeline,
        "status": status,
    }
    stamp = {"committed_at": datetime.now(UTC), "attempts": 1}
    Ledger(Storage(str(root / "out")), "clip_id").commit({**row, **stamp, **columns}, SCHEMA)


def test_a_row_is_done_when_id_inputs_and_pipeline_are_the_same(tmp_path: Path) -> None:
    for name in ("same", "other-value", "other-pipeline"):
        commit(tmp_path, name, 1, "p0" if name == "other-pipeline" else "p1")
    planned = plan(tmp_path, {"same": 1, "other-value": 2, "other-pipeline": 1, "new": 1})
    rows = {row["clip_id"]: row for row in planned.rows(0, 10)}
    assert set(rows) == {"other-value", "other-pipeline", "new"}
    # Only a row of the same inputs has reusable stages.
    assert rows["other-pipeline"]["previous_file"].endswith("rows-000000.parquet")
    assert rows["other-value"]["previous_file"] is None
    assert rows["new"]["previous_file"] is None
    assert len({row["work_key"] for row in rows.values()}) == 3


def test_columns_that_an_earlier_version_did_not_write_count_as_empty(tmp_path: Path) -> None:
    for name in ("same", "more"):
        commit(tmp_path, name, 1)
    url = tmp_path / "manifest.parquet"
    pq.write_table(pa.table({"clip_id": ["same", "more"], "value": [1, 1], "scale": [None, 2.0]}), url)
    manifest = Manifest(url=str(url), id_column="clip_id", required=REQUIRED, optional={"scale": pa.float64()})
    ledger = Ledger(Storage(str(tmp_path / "out")), "clip_id")
    ledger.compact()
    planned = Plan(manifest, ledger, key_columns=["value", "scale"], pipeline="p1")
    assert [row["clip_id"] for row in planned.rows(0, 10)] == ["more"]


def test_retry_takes_failed_rows_that_match(tmp_path: Path) -> None:
    commit(tmp_path, "a", 1, status="failed", reason="Crash", stage="decode", attempts=3)
    commit(tmp_path, "b", 1, status="failed", reason="Timeout", stage="pose")
    commit(tmp_path, "c", 1, status="rejected", reason="NoPerson", stage="select")
    values = {"a": 1, "b": 1, "c": 1}

    def ids(**kinds: tuple[str, ...]) -> list[str]:
        return [row["clip_id"] for row in plan(tmp_path, values, retry=Retry(**kinds)).rows(0, 10)]

    assert ids() == ["a", "b"]
    assert ids(reasons=("Crash",)) == ["a"]
    assert ids(stages=("pose",)) == ["b"]
    assert ids(reasons=("Crash",), stages=("pose",)) == []
    assert plan(tmp_path, values, retry=Retry(reasons=("Crash",))).rows(0, 1)[0]["attempts"] == 3
    assert plan(tmp_path, values).num_pending == 0
    with pytest.raises(ValueError, match=r"got the reasons \['Boredom'\], expected some of"):
        Retry(reasons=("Boredom",))


def test_limit_is_a_scope_and_the_account_keeps_to_it(tmp_path: Path) -> None:
    commit(tmp_path, "a", 1)
    commit(tmp_path, "z", 1, status="failed", reason="Crash")
    planned = plan(tmp_path, {"z": 1, "a": 1, "b": 1}, limit=2)
    assert (planned.total, planned.num_pending) == (2, 1)
    counts = planned.counts()
    assert (counts.ok, counts.failed, counts.not_run) == (1, 0, 1)
    assert counts.line() == "2 rows in = 1 ok + 0 rejected + 0 failed + 1 not run"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    manifest=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2), min_size=1),
    committed=st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 2), st.sampled_from(["p0", "p1"]))),
)
def test_pending_and_done_add_up(
    tmp_path_factory: pytest.TempPathFactory, manifest: dict[str, int], committed: dict[str, tuple[int, str]]
) -> None:
    root = tmp_path_factory.mktemp("plan")
    for name, (value, pipeline) in committed.items():
        commit(root, name, value, pipeline)
    planned = plan(root, manifest)
    done = {name for name, value in manifest.items() if committed.get(name) == (value, "p1")}
    assert {row["clip_id"] for row in planned.rows(0, 100)} == set(manifest) - done
    assert planned.counts().ok == len(done)
    assert planned.counts().not_run == planned.num_pending
