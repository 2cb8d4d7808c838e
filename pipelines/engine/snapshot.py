"""A ledger as it is at one moment, read without the dataset's lock and without compacting it."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from pipelines.engine.damage import DamagedFileError, read_file
from pipelines.engine.ledger import Ledger
from pipelines.engine.rows import conformed, unified_schema

_PARTS = "uncompacted_parts"


class LedgerSnapshot(Ledger):
    """Ledger whose relation includes uncompacted rows, for plans that must not write. A job may be writing to it."""

    def relation(self, connection: duckdb.DuckDBPyConnection) -> str:
        """SQL of a relation over all committed rows, with a column `filename`. Empty if there are none."""
        # Parts first: compaction publishes a part's rows before it deletes the part.
        parts = self._parts()
        compacted = super().relation(connection)
        if parts is None:
            return compacted
        connection.register(_PARTS, parts)
        uncompacted = f"SELECT *, NULL::VARCHAR AS filename FROM {_PARTS}"  # noqa: S608
        both = f"FROM {compacted} UNION ALL BY NAME {uncompacted}" if compacted else uncompacted
        newest = f"row_number() OVER (PARTITION BY {self.id_column} ORDER BY committed_at DESC) = 1"
        return f"(SELECT * FROM ({both}) QUALIFY {newest})"  # noqa: S608

    def _parts(self) -> pa.Table | None:
        tables = []
        for name in self.part_names():
            try:
                tables.append(read_file(self.storage, name))
            except (FileNotFoundError, DamagedFileError):  # compacted since it was listed, or to be set aside
                continue
        if not tables:
            return None
        schema = unified_schema(table.schema for table in tables)
        return pa.concat_tables([conformed(table, schema) for table in tables])
