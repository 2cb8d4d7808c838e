"""Conversion between rows and Arrow tables, and between tables of different schemas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.engine.schema import ENTRY_COLUMNS, SCHEMA_VERSION, entries


def to_table(row: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """One-row table of `schema`. Missing columns are null; columns outside the schema are dropped."""
    arrays = [_array(row.get(field.name), field) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(value: Any, field: pa.Field) -> pa.Array:
    if isinstance(value, np.ndarray) and value.ndim > 1:
        return _nested_array(value, field.type)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, Mapping) and field.name in ENTRY_COLUMNS:
        value = [{"name": name, "value": item} for name, item in value.items()]
    try:
        return pa.array([value], type=field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TypeError(f"column '{field.name}': expected {field.type}, got {type(value).__name__}: {error}") from error


def _nested_array(value: np.ndarray[Any, Any], column_type: pa.DataType) -> pa.Array:
    """Nested list array (1, *value.shape) over one contiguous buffer; `tolist` would create an object per number."""
    leaf = column_type
    for _ in range(value.ndim):
        leaf = leaf.value_type
    array: pa.Array = pa.array(np.ascontiguousarray(value).reshape(-1), type=leaf)
    for axis in range(value.ndim - 1, -1, -1):
        count = int(np.prod(value.shape[:axis], dtype=np.int64))
        offsets = np.arange(count + 1, dtype=np.int32) * value.shape[axis]
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array.cast(column_type)


def to_row(table: pa.Table, index: int = 0) -> dict[str, Any]:
    """Row `index` of a table in the form stages expect: (nested) lists of numbers as numpy arrays, named
    values as dictionaries.
    """
    row: dict[str, Any] = table.slice(index, 1).to_pylist(maps_as_pydicts="strict")[0]
    for name in row.keys() & ENTRY_COLUMNS:
        if isinstance(row[name], list):
            row[name] = {entry["name"]: entry["value"] for entry in row[name]}
    for field in table.schema:
        leaf = field.type
        while pa.types.is_list(leaf):
            leaf = leaf.value_type
        if leaf is not field.type and _is_number(leaf) and row[field.name] is not None:
            row[field.name] = np.asarray(row[field.name], dtype=leaf.to_pandas_dtype())
    return row


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def unified_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Schema that holds the rows of all `schemas`, of the current version: every column, of a type that holds the
    values of all. A column of types that nothing else holds (an integer, a list) is text.
    """
    types: dict[str, pa.DataType] = {}
    metadata: dict[bytes, bytes] | None = None
    for schema in schemas:
        for field in schema:
            kind = _current_type(field)
            types[field.name] = _common_type(types[field.name], kind) if field.name in types else kind
        metadata = schema.metadata or metadata
    described = json.loads((metadata or {}).get(b"zoetrope", b"{}"))
    if described:
        metadata = {b"zoetrope": json.dumps({**described, "schema_version": SCHEMA_VERSION}).encode()}
    return pa.schema(list(types.items()), metadata=metadata)


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with the columns of `schema`, its `unified_schema` with others. Columns that it lacks are null."""
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(field.name)
        if pa.types.is_string(field.type) and pa.types.is_nested(column.type):
            texts = [None if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(texts, pa.string())])
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.table(columns, schema=schema)


def _current_type(field: pa.Field) -> pa.DataType:
    if field.name in ENTRY_COLUMNS and pa.types.is_map(field.type):
        return entries(field.type.item_type)
    return field.type


def _common_type(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    if first == second:
        return first
    try:
        both = pa.unify_schemas([pa.schema([("x", kind)]) for kind in (first, second)], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string()
    return both.field("x").type
