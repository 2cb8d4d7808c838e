"""The ledger: a dataset committed row by row, in which readers find each row at most once.

A row is committed by publishing one small Parquet file, `_parts/<work_key>.parquet`. Its name is the row's work key, so
committing the same work again, by a retried worker or a second job, replaces the file with the same row: executed at
least once, visible once. Rows that take milliseconds are committed in groups, one file for many. `compact` merges parts
into `rows-*.parquet`, the only files other readers open (they skip names that begin with an underscore or a dot). Each
data file is replaced atomically, a newer row in place of its predecessor, so a reader finds each id at most once, even
after compaction was killed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine import compaction
from pipelines.engine.damage import DamagedFileError, damage_named, read_file
from pipelines.engine.rows import rows_to_table, to_row, to_table
from pipelines.engine.schema import ENTRY_COLUMNS
from pipelines.engine.tables import publish_table, register_file_system
from stages.io.storage import VIDEOS, Storage

PARTS = "_parts"
GROUP = "group-"
"""Prefix of parts with several rows."""


def stored_bytes(storage: Storage) -> int:
    """Size of a dataset's rows and media."""
    rows = {name: size for name, size in storage.sizes().items() if name.endswith(".parquet")}
    return sum(sum(sizes.values()) for sizes in (rows, storage.sizes(PARTS), storage.sizes(VIDEOS)))


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

    def commit_group(self, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
        """Publish several rows as one part, all or none: a flush to disk takes longer than many a row.

        The name of the part is a hash of the rows' work keys, so that a group replaces the same group only.

        Raises:
            OSError: the storage refuses it.
            TypeError: a value does not fit the type of its column.
        """
        keys = " ".join(str(row["work_key"]) for row in rows)
        name = f"{PARTS}/{GROUP}{hashlib.sha256(keys.encode()).hexdigest()[:32]}.parquet"
        publish_table(self.storage, name, rows_to_table(rows, schema))

    def committed_in_groups(self, work_keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those of the uncompacted rows with these keys that were committed in groups, by work key."""
        wanted = frozenset(work_keys)
        found = {}
        for name in self.part_names():
            if name.startswith(f"{PARTS}/{GROUP}"):
                table = read_file(self.storage, name)
                for index, key in enumerate(table.column("work_key").to_pylist()):
                    if key in wanted:
                        found[key] = to_row(table, index)
        return found

    def committed(self, work_key: str) -> dict[str, Any] | None:
        """The uncompacted row committed alone with this key, or None. Lets a retried worker skip finished rows."""
        try:
            return to_row(read_file(self.storage, f"{PARTS}/{work_key}.parquet"))
        except (FileNotFoundError, DamagedFileError):
            return None

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def data_names(self) -> list[str]:
        """Names of the files of compacted rows."""
        return [name for name in self.storage.names(suffix=".parquet") if name.startswith("rows-")]

    def part_names(self) -> list[str]:
        """Names of the files of committed rows that are not yet compacted."""
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
        """Iterator over all compacted rows, with few in memory at a time."""
        for name in self.data_names():
            with self.storage.fs.open(self.storage.path(name), "rb") as handle, pq.ParquetFile(handle) as file:
                present = None if columns is None else [c for c in columns if c in file.schema_arrow.names]
                for batch in file.iter_batches(batch_size=compaction.ROWS_PER_GROUP, columns=present):
                    table = pa.Table.from_batches([batch])
                    yield from (to_row(table, index) for index in range(table.num_rows))

    # ── compaction ──────────────────────────────────────────────────────────────────────────────────────────────────

    def compact(self, parts: Sequence[str] | None = None) -> int:
        """Merge committed parts into data files; returns the number of rows merged. Requires the dataset's lock.

        Args:
            parts: names of the parts to merge; None: all. Rows may be committed meanwhile, to other parts.

        Raises:
            DamagedFileError: a damaged data file.
        """
        return compaction.compact(self, self.part_names() if parts is None else parts)

    def schema(self, name: str) -> pa.Schema:
        """Schema of data file `name`."""
        with self.storage.fs.open(self.storage.path(name), "rb") as file:
            return pq.read_schema(file)


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
