from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from old_datasets import as_version_1
from toy import ROW_SCHEMA as SCHEMA
from toy import commit_row, ledger_at

from pipelines.engine.ledger import Ledger
from pipelines.engine.rows import conformed, to_row, to_table, unified_schema
from pipelines.engine.schema import ENTRY_COLUMNS

KEYS = {"decode": "d", "pose": "p"}


def commit(ledger: Ledger, name: str, number: int) -> None:
    commit_row(ledger, name, number, stage_keys=KEYS)


def version_of(path: Path) -> int:
    version: int = json.loads(pq.read_schema(path).metadata[b"zoetrope"])["schema_version"]
    return version


@given(names=st.dictionaries(st.text(), st.floats(width=32, allow_nan=False)))
def test_named_values_come_back_as_they_were(names: dict[str, float]) -> None:
    table = to_table({"seconds_by_stage": names, "stage_keys": {}, "weights": None}, SCHEMA)
    row = to_row(table)
    assert (row["seconds_by_stage"], row["stage_keys"], row["weights"]) == (names, {}, None)


def test_no_written_column_is_a_map() -> None:
    assert not [field.name for field in SCHEMA if pa.types.is_map(field.type)]


def test_rows_of_version_1_are_read_as_they_are_and_rewritten_by_compaction(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path)
    commit(ledger, "old", 1)
    ledger.compact()
    as_version_1(tmp_path / "rows-000000.parquet")
    commit(ledger, "part", 2)
    as_version_1(tmp_path / "_parts" / "part-2.parquet")
    commit(ledger, "new", 3)

    def keys_by_id() -> dict[str, str]:
        with duckdb.connect() as connection:
            query = "SELECT clip_id, list_filter(stage_keys, lambda e: e.name = 'pose')[1].value FROM {}"
            return dict(connection.execute(query.format(ledger.relation(connection))).fetchall())

    assert keys_by_id() == {"old": "p"}
    stored = ledger.read_row("rows-000000.parquet", "old")
    part = ledger.committed("part-2")
    assert stored is not None
    assert part is not None
    assert stored["stage_keys"] == part["stage_keys"] == KEYS
    assert version_of(tmp_path / "rows-000000.parquet") == 1

    assert ledger.compact() == 2
    assert version_of(tmp_path / "rows-000000.parquet") == 2
    assert keys_by_id() == {"old": "p", "part": "p", "new": "p"}
    schema = pq.read_schema(tmp_path / "rows-000000.parquet")
    named = [name for name in ENTRY_COLUMNS if name in SCHEMA.names]
    assert named
    assert [schema.field(name).type for name in named] == [SCHEMA.field(name).type for name in named]


def test_files_of_both_versions_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compaction that was killed between two files leaves both."""
    monkeypatch.setattr("pipelines.engine.compaction.TARGET_FILE_BYTES", 1)
    ledger = ledger_at(tmp_path)
    for number in range(2):
        commit(ledger, f"c{number}", number)
    ledger.compact()
    as_version_1(tmp_path / "rows-000000.parquet")
    with duckdb.connect() as connection:
        query = f"SELECT clip_id, stage_keys, parse_filename(filename) FROM {ledger.relation(connection)} ORDER BY 1"
        rows = connection.execute(query).fetchall()
    entries = [{"name": name, "value": key} for name, key in KEYS.items()]
    assert rows == [("c0", entries, "rows-000000.parquet"), ("c1", entries, "rows-000001.parquet")]


def test_all_data_files_have_the_columns_and_types_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.engine.compaction.TARGET_FILE_BYTES", 1)
    ledger = ledger_at(tmp_path)
    for number, kind in enumerate((pa.int32(), pa.int64(), pa.string())):
        schema = SCHEMA.append(pa.field("take", kind)).append(pa.field(f"extra{number}", pa.list_(pa.int32())))
        row = {"clip_id": f"c{number}", "work_key": f"k{number}", "committed_at": number, "take": 7, "status": "ok"}
        ledger.commit({**row, "take": "3b" if kind == pa.string() else 7, f"extra{number}": [number]}, schema)
        ledger.compact()
    schemas = [pq.read_schema(path) for path in sorted(tmp_path.glob("rows-*.parquet"))]
    assert len(schemas) == 3
    assert all(schema.equals(schemas[0]) for schema in schemas)
    assert [row["take"] for row in ledger.rows()] == ["7", "7", "3b"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("rows-*.parquet")}
    ledger.compact()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_column_that_was_a_list_and_a_number_is_text() -> None:
    tables = [pa.table({"x": pa.array([1, None])}), pa.table({"x": pa.array([[1, 2]])})]
    schema = unified_schema(table.schema for table in tables)
    assert pa.concat_tables([conformed(t, schema) for t in tables])["x"].to_pylist() == ["1", None, "[1, 2]"]
