"""Planning: the manifest rows that have no current row in the ledger.

Planning runs as DuckDB queries over files, to scale to millions of rows in seconds and bounded memory. Only the rows
of the next round become Python objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.engine.columns import quoted
from pipelines.engine.keys import work_key
from pipelines.engine.ledger import Counts, Ledger
from pipelines.engine.manifest import Manifest
from pipelines.engine.tables import column_names, column_types
from stages.outcome import Reason, Status

MEMORY_LIMIT = "1GB"
PLANNED_COLUMNS = ("work_key",)
"""Columns that planning adds to those of the manifest. Stages may read them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Filter of failed rows to run again, by reason and stage. An empty tuple matches all."""

    reasons: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        choices = sorted(reason.value for reason in Reason)
        if unknown := sorted(set(self.reasons) - set(choices)):
            raise ValueError(f"got the reasons {unknown}, expected some of {', '.join(choices)}")

    def condition(self) -> str:
        """SQL condition on ledger rows that match."""
        parts = [f"status = '{Status.FAILED}'"]
        if self.reasons:
            parts.append(f"reason IN ({_literals(self.reasons)})")
        if self.stages:
            parts.append(f"stage IN ({_literals(self.stages)})")
        return " AND ".join(parts)


class Plan:
    """Pending rows of a manifest: those without a committed row of the same work and the same own columns.

    Two rows are the same work if their id, their `key_columns` (such as the fingerprint of the source) and the
    pipeline key are equal. Columns are compared by value: DuckDB's hash is faster, but collides for one in a hundred
    similar texts.

    Args:
        manifest: the rows to account for.
        ledger: the dataset to write, compacted.
        key_columns: manifest columns that a result depends on.
        pipeline: the pipeline key.
        limit: maximum number of manifest rows, the first by id; None: all.
        retry: failed rows to run again; None: none.
        order_by: sort columns of pending rows, before the id. Keeps rows that share a source together.
        reserved: names that the manifest's own columns must not have.
    """

    def __init__(
        self,
        manifest: Manifest,
        ledger: Ledger,
        *,
        key_columns: Sequence[str],
        pipeline: str,
        limit: int | None = None,
        retry: Retry | None = None,
        order_by: Sequence[str] = (),
        reserved: Collection[str] = (),
    ) -> None:
        self.ledger = ledger
        self.id_column = ledger.id_column
        self.key_columns = tuple(key_columns)
        self.pipeline = pipeline
        self.connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "preserve_insertion_order": "false"})
        rows = ledger.relation(self.connection)
        fixed = column_types(self.connection, rows) if rows else {}
        source = manifest.relation(self.connection, reserved=reserved, fixed=fixed)
        if limit is not None:
            source = f"(SELECT * FROM {source} ORDER BY {self.id_column} LIMIT {limit:d})"  # noqa: S608
        self._source = source
        self._declared = frozenset({*manifest.required, *manifest.optional})
        self.manifest_schema: pa.Schema = self._query(f"SELECT * FROM {source} LIMIT 0").to_arrow_table().schema  # noqa: S608
        self.total = self._count(f"SELECT count(*) FROM {source}")  # noqa: S608
        self._find_pending(retry, ", ".join((*order_by, self.id_column)))
        manifest.check_ids(self.connection, source, "pending")
        self.num_pending = self._count("SELECT count(*) FROM pending")

    def _find_pending(self, retry: Retry | None, order: str) -> None:
        ledger = self.ledger.relation(self.connection)
        if not ledger:
            select = f"SELECT *, NULL::VARCHAR AS previous_file, 0 AS attempts FROM {self._source}"  # noqa: S608
        else:
            done = f"pipeline_key = '{self.pipeline}'"
            if retry is not None:
                done += f" AND NOT ({retry.condition()})"
            self.connection.execute(
                f"CREATE TEMP TABLE todo AS SELECT m.* FROM {self._source} m "  # noqa: S608
                f"ANTI JOIN (SELECT * FROM {ledger} WHERE {done}) l ON {self._same_work()} "
                f"AND {self._same_own_columns()}"
            )
            # Stages of an earlier row of the same inputs can be reused, unless that row is the one to retry.
            current = f"l.pipeline_key = '{self.pipeline}'"
            retried = f"({current} AND {retry.condition()})" if retry is not None else "false"
            select = (
                f"SELECT m.*, CASE WHEN NOT {retried} THEN l.filename END AS previous_file, "  # noqa: S608
                f"CASE WHEN {retried} THEN l.attempts WHEN {current} THEN l.attempts - 1 ELSE 0 END AS attempts "
                f"FROM todo m LEFT JOIN {ledger} l ON {self._same_work()}"
            )
        self.connection.execute(
            f"CREATE TEMP TABLE pending AS SELECT row_number() OVER (ORDER BY {order}) - 1 AS position, * "  # noqa: S608
            f"FROM ({select})"
        )

    def rows(self, start: int, count: int) -> list[dict[str, Any]]:
        """`count` pending rows from position `start`, with `work_key`, previous `attempts` and `previous_file`."""
        table = self._query(
            f"SELECT * EXCLUDE (position) FROM pending WHERE position >= {start:d} AND position < {start + count:d} "  # noqa: S608
            "ORDER BY position"
        ).to_arrow_table()
        rows: list[dict[str, Any]] = table.to_pylist()
        for row in rows:
            row["work_key"] = work_key(row[self.id_column], [row[c] for c in self.key_columns], self.pipeline)
        return rows

    def counts(self) -> Counts:
        """Outcomes of the manifest's rows, read back from the compacted ledger."""
        ledger = self.ledger.relation(self.connection)
        by_outcome: Mapping[tuple[str, str | None], int] = {}
        if ledger:
            outcomes = self._query(
                f"SELECT l.status, l.reason, count(*) FROM {self._source} m JOIN {ledger} l ON {self._same_work()} "  # noqa: S608
                f"WHERE l.pipeline_key = '{self.pipeline}' GROUP BY ALL"
            ).fetchall()
            by_outcome = {(status, reason): count for status, reason, count in outcomes}
        statuses = {status: sum(n for (s, _), n in by_outcome.items() if s == status) for status in Status}
        reasons = {str(reason): n for (_, reason), n in by_outcome.items() if reason is not None}
        return Counts(
            total=self.total,
            ok=statuses[Status.OK],
            rejected=statuses[Status.REJECTED],
            failed=statuses[Status.FAILED],
            reasons=reasons,
        )

    def digest(self) -> str:
        """SHA-256 of the ids and key columns of the manifest, independent of row order."""
        columns = ", ".join((self.id_column, *self.key_columns))
        total = self._query(f"SELECT sum(md5_number_lower(concat_ws('|', {columns})))::VARCHAR FROM {self._source}")  # noqa: S608
        return hashlib.sha256(str(total.fetchall()[0][0]).encode()).hexdigest()

    def close(self) -> None:
        """Close the DuckDB connection."""
        self.connection.close()

    def _same_work(self) -> str:
        """SQL condition for equal ids and inputs of manifest row `m` and ledger row `l`."""
        conditions = [f"l.{self.id_column} = m.{self.id_column}"]
        # A dataset of an earlier version may lack columns, which are then as good as empty.
        present = column_names(self.connection, self.ledger.relation(self.connection))
        conditions += [
            f"l.{column} IS NOT DISTINCT FROM m.{column}" if column in present else f"m.{column} IS NULL"
            for column in self.key_columns
        ]
        return " AND ".join(conditions)

    def _same_own_columns(self) -> str:
        """SQL condition for equal values of the user's own columns. Of a changed row, all stages are reused."""
        present = column_names(self.connection, self.ledger.relation(self.connection))
        conditions = [
            f"l.{quoted(name)} IS NOT DISTINCT FROM m.{quoted(name)}"
            if name in present
            else f"m.{quoted(name)} IS NULL"
            for name in self.manifest_schema.names
            if name not in self._declared
        ]
        return " AND ".join(conditions) or "true"

    def _query(self, sql: str) -> duckdb.DuckDBPyRelation:
        return self.connection.sql(sql)

    def _count(self, sql: str) -> int:
        return int(self._query(sql).fetchall()[0][0])


def _literals(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
