"""Columns of a user's tables: their names, which no job may write, and their types, fixed when a dataset is begun."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.engine.schema import (
    CLIP_COLUMNS,
    OUTCOME_COLUMNS,
    PREPARED_COLUMNS,
    PROVENANCE_COLUMNS,
    VIDEO_COLUMNS,
)
from stages.base import Stage

_ENGINE_COLUMNS = frozenset({"filename", "position", "previous_file"})
"""Columns of planning."""

CORPUS_COLUMNS = frozenset({*VIDEO_COLUMNS, "windows", *CLIP_COLUMNS, *PREPARED_COLUMNS, "frames"})
"""Columns of a corpus, from videos to prepared clips. A list's own columns travel through all of them."""


def reserved_columns(stages: Iterable[Stage[Any]], written: Collection[str]) -> frozenset[str]:
    """Names of the columns that a job writes or plans with."""
    by_stages = frozenset().union(*(stage.writes for stage in stages))
    return by_stages | frozenset(written) | OUTCOME_COLUMNS.keys() | PROVENANCE_COLUMNS.keys() | _ENGINE_COLUMNS


def refused_columns(names: Iterable[str], reserved: Collection[str]) -> list[str]:
    """Those of a user's column names that a job reserves, in any case, or that begin with an underscore."""
    taken = {name.lower() for name in (*reserved, *OUTCOME_COLUMNS, *PROVENANCE_COLUMNS, *_ENGINE_COLUMNS)}
    return [name for name in names if name.startswith("_") or name.lower() in taken]


def refusal(url: str, names: Sequence[str]) -> str:
    """Message on refused columns, with the way on."""
    text = f"{url}: the columns {list(names)} have names that datasets reserve"
    if {"stage_keys", "work_key"} & set(names):
        return f"{text}, because a job wrote this table; give what that job was given, or leave these columns out"
    return f"{text}; rename them, for example to {'my_' + names[0].strip('_')!r}, or leave them out"


def own_columns(schema: pa.Schema, known: Collection[str]) -> list[str]:
    """Names of a user's own columns in a dataset: those that are neither `known` nor written by jobs."""
    return [name for name in schema.names if name not in known and not refused_columns([name], ())]


def conversion(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, kind: str, fixed: Mapping[str, str]
) -> tuple[str, str | None]:
    """SQL expression of a user's column, and its first value that cannot be converted without loss; None: all can.

    Args:
        connection: connection of `table`.
        table: SQL of the user's table.
        name: name of the column.
        kind: its DuckDB type.
        fixed: types by name of the columns of the dataset.
    """
    column = quoted(name)
    if kind.startswith("MAP("):
        return f"map_entries({column}) AS {column}", None
    target = fixed.get(name, kind)
    if target in (kind, '"NULL"'):
        return column, None
    try:
        lossy = connection.execute(
            f"SELECT {column}::VARCHAR FROM {table} WHERE {column} IS NOT NULL AND "  # noqa: S608
            f"TRY_CAST(TRY_CAST({column} AS {target}) AS {kind}) IS DISTINCT FROM {column} LIMIT 1"
        ).fetchall()
    except duckdb.Error:  # no such conversion
        lossy = connection.execute(f"SELECT {column}::VARCHAR FROM {table} LIMIT 1").fetchall()  # noqa: S608
    return f"CAST({column} AS {target}) AS {column}", str(lossy[0][0]) if lossy else None


def empty_columns(connection: duckdb.DuckDBPyConnection, table: str, names: Collection[str]) -> set[str]:
    """Those of the columns without any value, which have no type to be fixed."""
    if not names:
        return set()
    counts = ", ".join(f"count({quoted(name)})" for name in names)
    row = connection.execute(f"SELECT {counts} FROM {table}").fetchall()[0]  # noqa: S608
    return {name for name, count in zip(names, row, strict=True) if not count}


def quoted(name: str) -> str:
    """SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
