"""Datasets as earlier versions wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.schema import ENTRY_COLUMNS


def as_version_1(path: Path) -> None:
    """Rewrite a data file or part with maps in the columns of named values."""
    table = pq.read_table(path)
    for name in (name for name in ENTRY_COLUMNS if name in table.column_names):
        column = table.column(name)
        kind = pa.map_(pa.string(), column.type.value_type.field("value").type)
        rows = [
            None if row is None else [(entry["name"], entry["value"]) for entry in row] for row in column.to_pylist()
        ]
        table = table.set_column(table.column_names.index(name), name, pa.array(rows, kind))
    stated = json.loads(table.schema.metadata[b"zoetrope"])
    table = table.replace_schema_metadata({"zoetrope": json.dumps({**stated, "schema_version": 1})})
    pq.write_table(table, path)
