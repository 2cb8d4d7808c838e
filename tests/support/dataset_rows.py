"""Rows of a dataset as plain Python values, with named values as dictionaries."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipelines.engine.schema import ENTRY_COLUMNS


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        for name in row.keys() & ENTRY_COLUMNS:
            row[name] = {entry["name"]: entry["value"] for entry in row[name] or ()}
    return rows
