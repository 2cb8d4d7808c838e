"""Compaction: committed parts merged into the data files that readers open.

A data file is replaced atomically, and a part deleted after the files with its rows are published. A killed compaction
is completed by the next one, in which rows that were already merged are recognised by their commit time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.damage import DamagedFileError, damage_named, read_file, set_aside
from pipelines.engine.rows import conformed, unified_schema
from pipelines.engine.tables import describe_dataset, publish_table
from stages.io.storage import store_errors

if TYPE_CHECKING:
    from pipelines.engine.ledger import Ledger

log = logging.getLogger(__name__)

TARGET_FILE_BYTES = 32 << 20
TARGET_FILE_ROWS = 50_000
"""Rows of a data file, so that extending one of small rows stays cheap."""
_ROW_GROUP_BYTES = 8 << 20
ROWS_PER_GROUP = 16
"""Minimum number of rows per row group."""
_MAX_ROWS_PER_GROUP = 4096
_PARTS_PER_PASS = 16_384
_THREADS = 8
"""Requests at a time: parts are many and small, and an object store takes long to answer each."""


def rows_per_group(table: pa.Table) -> int:
    """Rows per row group. Reuse reads single rows, so that a group is bounded in bytes."""
    rows = _ROW_GROUP_BYTES * table.num_rows // max(1, table.nbytes)
    return int(min(_MAX_ROWS_PER_GROUP, max(ROWS_PER_GROUP, rows)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Head:
    """A row of a part: its id, its commit time, and its share of the part's bytes."""

    row_id: str
    stamp: Any
    part: str
    num_bytes: int


def compact(ledger: Ledger, parts: Sequence[str]) -> int:
    """Merge `parts` into data files; returns the number of rows merged.

    Newer rows replace older rows of the same id, each data file is rewritten at most once, and new ids fill the last
    file before another is started. A damaged part is set aside: its rows count as not run. All data files get the same
    columns and types.

    Raises:
        DamagedFileError: a damaged data file.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="compaction") as pool:
        passes = (parts[start : start + _PARTS_PER_PASS] for start in range(0, len(parts), _PARTS_PER_PASS))
        moved = sum(_merge(ledger, names, pool) for names in passes)
        _conform(ledger, pool)
    return moved


def _merge(ledger: Ledger, parts: Sequence[str], pool: ThreadPoolExecutor) -> int:
    newest: dict[str, _Head] = {}
    for head in (head for heads in pool.map(lambda name: _heads(ledger, name), parts) for head in heads):
        if head.row_id not in newest or newest[head.row_id].stamp < head.stamp:
            newest[head.row_id] = head
    homes = _homes(ledger, newest)
    # A row that is as new in its data file was merged by a killed compaction.
    merged = {row_id: head for row_id, head in newest.items() if row_id not in homes or homes[row_id][1] < head.stamp}
    open_rows = Counter(head.part for head in merged.values())
    _delete(ledger, [name for name in parts if not open_rows[name]], pool)
    replaced = {row_id: homes[row_id][0] for row_id in merged if row_id in homes}
    for data_name, heads in _targets(ledger, merged, replaced).items():
        _rewrite(ledger, data_name, heads, pool)
        open_rows.subtract(head.part for head in heads)
        _delete(ledger, sorted({head.part for head in heads if not open_rows[head.part]}), pool)
    return len(merged)


def _heads(ledger: Ledger, part: str) -> list[_Head]:
    """The rows of a part. Empty if it was damaged and set aside."""
    try:
        table = read_file(ledger.storage, part)
        ids, stamps = (table.column(name).to_pylist() for name in (ledger.id_column, "committed_at"))
        if not ids:
            raise ValueError("no rows")
    except (DamagedFileError, KeyError, ValueError):
        set_aside(ledger.storage, part)
        log.warning("%s was damaged and is now in _damaged/; its rows run again", ledger.storage.url_of(part))
        return []
    num_bytes = _num_bytes(ledger, part) // len(ids)
    return [
        _Head(row_id=row_id, stamp=stamp, part=part, num_bytes=num_bytes)
        for row_id, stamp in zip(ids, stamps, strict=True)
    ]


def _homes(ledger: Ledger, ids: Iterable[str]) -> dict[str, tuple[str, Any]]:
    """Data file and commit time by id, for those of `ids` with a compacted row."""
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        if not relation:
            return {}
        connection.register("wanted", pa.table({"id": pa.array(list(ids), pa.string())}))
        matches = connection.sql(
            f"SELECT id, filename, committed_at FROM wanted JOIN {relation} ON id = {ledger.id_column}"  # noqa: S608
        ).to_arrow_table()
    return {r["id"]: (str(r["filename"]).rsplit("/", 1)[-1], r["committed_at"]) for r in matches.to_pylist()}


def _targets(ledger: Ledger, rows: Mapping[str, _Head], replaced: Mapping[str, str]) -> dict[str, list[_Head]]:
    """Rows by the data file to write them to."""
    targets: dict[str, list[_Head]] = {}
    for row_id, data_name in replaced.items():
        targets.setdefault(data_name, []).append(rows[row_id])
    added = [rows[row_id] for row_id in sorted(rows.keys() - replaced.keys())]
    for data_name, heads in _filled(ledger, added):
        targets.setdefault(data_name, []).extend(heads)
    return targets


def _filled(ledger: Ledger, added: Sequence[_Head]) -> Iterator[tuple[str, list[_Head]]]:
    """Distribute new rows over data files, of which the first is the last present one if it has room."""
    names = ledger.data_names()
    number = int(names[-1].removeprefix("rows-").removesuffix(".parquet")) if names else 0
    num_bytes, num_rows = _size(ledger, names[-1]) if names else (0, 0)
    batch: list[_Head] = []
    for head in added:
        if num_bytes >= TARGET_FILE_BYTES or num_rows >= TARGET_FILE_ROWS:
            if batch:
                yield f"rows-{number:06d}.parquet", batch
            batch, number, num_bytes, num_rows = [], number + 1, 0, 0
        batch.append(head)
        num_bytes, num_rows = num_bytes + head.num_bytes, num_rows + 1
    if batch:
        yield f"rows-{number:06d}.parquet", batch


def _rewrite(ledger: Ledger, data_name: str, heads: Sequence[_Head], pool: ThreadPoolExecutor) -> None:
    """Publish `data_name` with the rows of `heads` in place of its rows of the same ids."""
    wanted = {(head.part, head.row_id, head.stamp) for head in heads}
    parts = sorted({head.part for head in heads})

    def rows_of(part: str) -> pa.Table:
        table = read_file(ledger.storage, part)
        ids, stamps = (table.column(name).to_pylist() for name in (ledger.id_column, "committed_at"))
        return table.filter(pa.array([(part, *row) in wanted for row in zip(ids, stamps, strict=True)], pa.bool_()))

    tables = list(pool.map(rows_of, parts))
    if ledger.storage.exists(data_name):
        replaced = {head.row_id for head in heads}
        old = read_file(ledger.storage, data_name)
        keep = [row_id not in replaced for row_id in old.column(ledger.id_column).to_pylist()]
        tables.insert(0, old.filter(pa.array(keep, pa.bool_())))
    schema = unified_schema(table.schema for table in tables)
    table = pa.concat_tables([conformed(table, schema) for table in tables]).sort_by(ledger.id_column)
    publish_table(ledger.storage, data_name, table, row_group_size=rows_per_group(table))


def _delete(ledger: Ledger, names: Sequence[str], pool: ThreadPoolExecutor) -> None:
    for _ in pool.map(ledger.storage.delete, names):
        pass


def _conform(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    """Rewrite data files of an earlier version, or with other columns or types than the others."""
    names = ledger.data_names()
    if not names:
        return
    with damage_named(ledger.storage, names):
        schemas = dict(zip(names, pool.map(ledger.schema, names), strict=True))
    target = unified_schema(schemas.values())
    for name, schema in schemas.items():
        if not schema.equals(target) or schema.metadata != target.metadata:
            table = conformed(read_file(ledger.storage, name), target)
            publish_table(ledger.storage, name, table, row_group_size=rows_per_group(table))
    describe_dataset(ledger.storage)


def _num_bytes(ledger: Ledger, name: str) -> int:
    with store_errors(ledger.storage.url):
        return int(ledger.storage.fs.size(ledger.storage.path(name)))


def _size(ledger: Ledger, name: str) -> tuple[int, int]:
    """Bytes and rows of a data file."""
    with store_errors(ledger.storage.url), ledger.storage.fs.open(ledger.storage.path(name), "rb") as file:
        return _num_bytes(ledger, name), int(pq.read_metadata(file).num_rows)
