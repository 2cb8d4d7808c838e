"""The ledger: a dataset committed row by row, in which readers find each row at most once.

A row is committed by publishing one small Parquet file, `_parts/<work_key>.parquet`. Its name is the row's work key, so
committing the same work again, by a retried worker or a second job, replaces the file with the same row: executed at
least once, visible once. `compact` merges parts into `rows-*.parquet`, the only files other readers open (they skip
names that begin with an underscore or a dot). Each data file is replaced atomically, a newer row in place of its
predecessor, so a reader finds each id at most once, even after compaction was killed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.damage import DamagedFileError, damage_named, read_file, set_aside
from pipelines.engine.rows import conformed, to_row, to_table, unified_schema
from pipelines.engine.schema import ENTRY_COLUMNS
from pipelines.engine.tables import describe_dataset, publish_table, register_file_system
from stages.io.storage import Storage, store_errors

log = logging.getLogger(__name__)

PARTS = "_parts"
TARGET_FILE_BYTES = 32 << 20
ROWS_PER_GROUP = 16
"""Rows per row group. Small, because reuse reads single rows, located by the column statistics of the id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Number of rows of a job by outcome."""

    total: int
    ok: int = 0
    rejected: int = 0
    failed: int = 0
    reasons: Mapping[str, int] | None = None

    @property
    def not_run(self) -> int:
        """Rows without an outcome: zero, unless the job was stopped."""
        return self.total - self.ok - self.rejected - self.failed

    @property
    def accounted(self) -> bool:
        """Whether every row has exactly one outcome."""
        return self.not_run == 0

    def line(self) -> str:
        """Summary of the counts on one line."""
        reasons = ", ".join(f"{name} {count}" for name, count in sorted((self.reasons or {}).items()))
        line = f"{self.total} rows in = {self.ok} ok + {self.rejected} rejected + {self.failed} failed"
        if self.not_run:
            line += f" + {self.not_run} not run"
        return f"{line} ({reasons})" if reasons else line


class Ledger:
    """Committed rows of one dataset.

    Args:
        storage: the dataset's folder.
        id_column: name of the id column, unique in the dataset.
    """

    def __init__(self, storage: Storage, id_column: str) -> None:
        self.storage = storage
        self.id_column = id_column

    # ── committing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def commit(self, row: Mapping[str, Any], schema: pa.Schema) -> None:
        """Publish one row. Raises OSError, with the row not committed, if the storage refuses it."""
        publish_table(self.storage, f"{PARTS}/{row['work_key']}.parquet", to_table(row, schema))

    def committed(self, work_key: str) -> dict[str, Any] | None:
        """The uncompacted row with this key, or None. Lets a retried worker skip finished rows."""
        try:
            return to_row(read_file(self.storage, f"{PARTS}/{work_key}.parquet"))
        except (FileNotFoundError, DamagedFileError):
            return None

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def data_names(self) -> list[str]:
        """Names of the files of compacted rows."""
        return [name for name in self.storage.names(suffix=".parquet") if name.startswith("rows-")]

    def part_names(self) -> list[str]:
        """Names of the single-row files that are not yet compacted."""
        return self.storage.names(PARTS, suffix=".parquet")

    def relation(self, connection: duckdb.DuckDBPyConnection) -> str:
        """SQL of a relation over all compacted rows, with a column `filename`. Empty if there are none.

        Uncompacted parts are not included.
        """
        names = self.data_names()
        if not names:
            return ""
        paths = [self.duckdb_path(connection, name) for name in names]
        entry_names = ", ".join(_quote(name) for name in ENTRY_COLUMNS)
        query = (
            f"SELECT file_name, list_sort(list(DISTINCT name) FILTER (name IN ({entry_names}) AND "  # noqa: S608
            "converted_type = 'MAP')), bool_or(lower(name) = 'filename') "
            f"FROM parquet_schema([{', '.join(map(_quote, paths))}]) GROUP BY ALL ORDER BY 1"
        )
        with damage_named(self.storage, names):
            facts = connection.execute(query).fetchall()
        forms: dict[tuple[tuple[str, ...], bool], list[str]] = {}
        for path, maps, has_filename in facts:
            forms.setdefault((tuple(maps or ()), has_filename), []).append(path)
        selects = [_relation(files, maps, has_filename) for (maps, has_filename), files in forms.items()]
        return selects[0] if len(selects) == 1 else f"({' UNION ALL BY NAME '.join(f'FROM {s}' for s in selects)})"

    def duckdb_path(self, connection: duckdb.DuckDBPyConnection, name: str) -> str:
        """Path or URL of `name` for DuckDB. Registers a remote file system with the connection."""
        register_file_system(connection, self.storage.fs)
        return self.storage.url_of(name)

    def read_row(self, name: str, row_id: str, columns: list[str] | None = None) -> dict[str, Any] | None:
        """Row `row_id` of data file `name`, or None. Reads only the row group that contains it."""
        with damage_named(self.storage, [name]), self.storage.fs.open(self.storage.path(name), "rb") as file:
            table = pq.read_table(file, columns=columns, filters=[(self.id_column, "==", row_id)])
        return to_row(table) if table.num_rows else None

    def rows(self, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """Iterator over all compacted rows, with one row group in memory at a time."""
        for name in self.data_names():
            with self.storage.fs.open(self.storage.path(name), "rb") as handle, pq.ParquetFile(handle) as file:
                present = None if columns is None else [c for c in columns if c in file.schema_arrow.names]
                for batch in file.iter_batches(batch_size=ROWS_PER_GROUP, columns=present):
                    table = pa.Table.from_batches([batch])
                    yield from (to_row(table, index) for index in range(table.num_rows))

    # ── compaction ──────────────────────────────────────────────────────────────────────────────────────────────────

    def compact(self) -> int:
        """Merge committed parts into data files; returns the number of rows merged. Requires the dataset's lock.

        Each data file is replaced atomically: newer rows replace older rows with the same id, and new ids fill the
        last file before another is started. A part is deleted after the file with its row is published. A killed
        compaction is completed by the next one, in which rows that were already merged replace themselves.

        A damaged part is set aside: its row counts as not run. All data files get the same columns and types.

        Raises:
            DamagedFileError: a damaged data file.
        """
        parts = self.part_names()
        moved = 0
        for start in range(0, len(parts), _PARTS_PER_PASS):
            moved += self._compact_batch(parts[start : start + _PARTS_PER_PASS])
        self._conform()
        return moved

    def _conform(self) -> None:
        """Rewrite data files of an earlier version, or with other columns or types than the others."""
        names = self.data_names()
        if not names:
            return
        with damage_named(self.storage, names), ThreadPoolExecutor(_FOOTER_THREADS) as pool:
            schemas = dict(zip(names, pool.map(self.schema, names), strict=True))
        target = unified_schema(schemas.values())
        for name, schema in schemas.items():
            if not schema.equals(target) or schema.metadata != target.metadata:
                table = conformed(read_file(self.storage, name), target)
                publish_table(self.storage, name, table, row_group_size=ROWS_PER_GROUP)
        describe_dataset(self.storage)

    def schema(self, name: str) -> pa.Schema:
        """Schema of data file `name`."""
        with self.storage.fs.open(self.storage.path(name), "rb") as file:
            return pq.read_schema(file)

    def _compact_batch(self, parts: list[str]) -> int:
        newest: dict[str, tuple[Any, str]] = {}
        superseded: list[str] = []
        for name in parts:
            head = self._head(name)
            if head is None:
                continue
            row_id, stamp = head[self.id_column], head["committed_at"]
            if row_id in newest and newest[row_id][0] >= stamp:
                superseded.append(name)
                continue
            if row_id in newest:
                superseded.append(newest[row_id][1])
            newest[row_id] = (stamp, name)
        homes = self._homes(newest)
        for row_id, (_, stamp) in homes.items():
            # Already merged by a killed compaction, or superseded by a newer row.
            if stamp >= newest[row_id][0]:
                superseded.append(newest.pop(row_id)[1])
        # Superseded parts first: if one outlived the newest part of its id, it would replace the newer row.
        for name in superseded:
            self.storage.delete(name)
        pending = {row_id: name for row_id, (_, name) in newest.items()}
        replaced: dict[str, list[str]] = {}
        for row_id in pending:
            if row_id in homes:
                replaced.setdefault(homes[row_id][0], []).append(row_id)
        for data_name, ids in replaced.items():
            self._rewrite(data_name, {row_id: pending.pop(row_id) for row_id in ids}, {})
        while pending:
            data_name, room = self._file_with_room()
            batch: dict[str, str] = {}
            for row_id in sorted(pending):
                room -= self._size(pending[row_id])
                if batch and room < 0:
                    break
                batch[row_id] = pending.pop(row_id)
            self._rewrite(data_name, {}, batch)
        return len(newest)

    def _head(self, name: str) -> dict[str, Any] | None:
        """Id and commit time of a part. None if it was damaged and set aside."""
        try:
            (head,) = read_file(self.storage, name).select([self.id_column, "committed_at"]).to_pylist()
        except (DamagedFileError, KeyError, ValueError):
            set_aside(self.storage, name)
            log.warning("%s was damaged and is now in _damaged/; its row runs again", self.storage.url_of(name))
            return None
        return dict(head)

    def _homes(self, ids: Iterable[str]) -> dict[str, tuple[str, Any]]:
        """Data file and commit time by id, for those of `ids` with a compacted row."""
        with duckdb.connect() as connection:
            relation = self.relation(connection)
            if not relation:
                return {}
            connection.register("wanted", pa.table({"id": pa.array(list(ids), pa.string())}))
            matches = connection.sql(
                f"SELECT id, filename, committed_at FROM wanted JOIN {relation} ON id = {self.id_column}"  # noqa: S608
            ).to_arrow_table()
        return {r["id"]: (str(r["filename"]).rsplit("/", 1)[-1], r["committed_at"]) for r in matches.to_pylist()}

    def _file_with_room(self) -> tuple[str, int]:
        """Name of the data file to extend and its remaining capacity in bytes; a new name if the last file is full."""
        names = self.data_names()
        if names and (room := TARGET_FILE_BYTES - self._size(names[-1])) > 0:
            return names[-1], room
        number = int(names[-1].removeprefix("rows-").removesuffix(".parquet")) + 1 if names else 0
        return f"rows-{number:06d}.parquet", TARGET_FILE_BYTES

    def _rewrite(self, data_name: str, replaced: Mapping[str, str], added: Mapping[str, str]) -> None:
        """Publish `data_name` with rows replaced and added, then delete their parts. Both map id to part name."""
        tables = [read_file(self.storage, name) for name in (*replaced.values(), *added.values())]
        if self.storage.exists(data_name):
            old = read_file(self.storage, data_name)
            keep = [value.as_py() not in replaced for value in old.column(self.id_column)]
            tables.insert(0, old.filter(pa.array(keep, pa.bool_())))
        # The schema version is that of the newest part.
        schema = unified_schema(table.schema for table in tables)
        table = pa.concat_tables([conformed(table, schema) for table in tables]).sort_by(self.id_column)
        publish_table(self.storage, data_name, table, row_group_size=ROWS_PER_GROUP)
        for name in (*replaced.values(), *added.values()):
            self.storage.delete(name)

    def _size(self, name: str) -> int:
        with store_errors(self.storage.url):
            return int(self.storage.fs.size(self.storage.path(name)))


_PARTS_PER_PASS = 512
"""Maximum number of parts per data file rewrite. Bounds the memory of compaction."""


_FOOTER_THREADS = 16


def _relation(paths: list[str], maps: tuple[str, ...], has_filename: bool) -> str:
    """SQL of the rows of data files, `maps`: the columns of named values that are still maps, as in version 1.

    `has_filename`: a column of an earlier version's manifest has the name, which now is reserved.
    """
    files = ", ".join(map(_quote, paths))
    if not maps and not has_filename:
        return f"read_parquet([{files}], union_by_name=true, filename=true)"
    entries = ", ".join(
        f"list_transform(map_entries({name}), lambda e: struct_pack(name := e.key, value := e.value)) AS {name}"
        for name in maps
    )
    replaced = f"REPLACE ({entries})" if entries else ""
    rows = f"SELECT * {replaced} FROM read_parquet([{files}], union_by_name=true, filename='_file')"  # noqa: S608
    return f"(SELECT COLUMNS(lambda c: lower(c) NOT IN ('filename', '_file')), _file AS filename FROM ({rows}))"  # noqa: S608


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
