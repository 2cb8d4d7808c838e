"""Manifests: input tables of jobs, validated before a job starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.engine.columns import conversion, empty_columns, quoted, refusal, refused_columns
from pipelines.engine.tables import register_file_system
from stages.io.storage import is_local, open_file_system, store_errors

ID_PATTERN = "^[A-Za-z0-9._-]{1,128}$"
SUFFIXES = {".parquet": ("read_parquet", ""), ".csv": ("read_csv", ", header=true, all_varchar=true")}
"""Readers by suffix. Text of a CSV file is not guessed to be numbers: the guess would change with the file."""


class ManifestError(ValueError):
    """Invalid manifest. The message states what was got, what was expected, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """Table of the rows to process, stored in files.

    Args:
        url: a Parquet or CSV file, or a folder of `*.parquet`, on any fsspec file system.
        id_column: name of the id column, unique in the table.
        required: required columns and the types they are converted to.
        optional: optional columns and their types; null if absent.
    """

    url: str
    id_column: str
    required: Mapping[str, pa.DataType]
    optional: Mapping[str, pa.DataType]

    def relation(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        reserved: Collection[str] = (),
        fixed: Mapping[str, str] | None = None,
    ) -> str:
        """SQL of the validated and converted table. Ids are validated separately, by `check_ids`.

        Args:
            connection: connection to register the table's file system with.
            reserved: names that columns besides the declared ones must not have.
            fixed: DuckDB types by name that such columns are converted to; others keep their type.

        Raises:
            ManifestError: a missing file, a file that is no table, a missing column, a reserved column, a missing value
                or one of the wrong type, or no rows.
        """
        raw = self._raw(connection)
        try:
            described = connection.execute(f"DESCRIBE SELECT * FROM {raw}").fetchall()  # noqa: S608
        except duckdb.Error as error:
            raise ManifestError(f"{self.url} cannot be read as a table: {_first_line(error)}") from error
        present = {name: kind for name, kind, *_ in described}
        if missing := [name for name in self.required if name not in present]:
            raise ManifestError(f"{self.url} lacks the columns {missing}; it has {sorted(present)}")
        own = {name: kind for name, kind in present.items() if name not in {*self.required, *self.optional}}
        if reserved and (refused := refused_columns(own, reserved)):
            raise ManifestError(refusal(self.url, refused))
        columns = self._conversions(connection, raw, present) + self._own_columns(connection, raw, own, fixed or {})
        relation = f"(SELECT {', '.join(columns)} FROM {raw})"  # noqa: S608
        self._check_values(connection, relation)
        return relation

    def _raw(self, connection: duckdb.DuckDBPyConnection) -> str:
        fs, path = open_file_system(self.url)
        register_file_system(connection, fs)
        with store_errors(self.url):
            paths = self._files(fs, path)
        reader, options = next(
            (call for suffix, call in SUFFIXES.items() if paths[0].lower().endswith(suffix)), ("", "")
        )
        if not reader:
            raise ManifestError(f"{self.url} is neither .parquet nor .csv")
        urls = paths if is_local(fs) else [fs.unstrip_protocol(p) for p in paths]
        files = ", ".join("'" + url.replace("'", "''") + "'" for url in urls)
        return f"{reader}([{files}], union_by_name=true{options})"

    def _files(self, fs: Any, path: str) -> list[str]:
        if fs.isdir(path):
            matches = [str(p) for p in fs.glob(f"{path.rstrip('/')}/*.parquet")]
            paths = sorted(p for p in matches if not p.rsplit("/", 1)[-1].startswith(("_", ".")))
            if not paths:
                raise ManifestError(f"{self.url} holds no *.parquet file; was the job that writes it run?")
            return paths
        if fs.exists(path):
            return [path]
        raise ManifestError(f"{self.url} does not exist; expected a Parquet or CSV file, or a folder of Parquet files")

    def _conversions(self, connection: duckdb.DuckDBPyConnection, raw: str, present: Mapping[str, str]) -> list[str]:
        """One SELECT expression per column. Every conversion is verified to be lossless."""
        expressions = []
        for name, kind in {**self.required, **self.optional}.items():
            sql_type = sql_type_of(kind)
            if name not in present:
                expressions.append(f"NULL::{sql_type} AS {name}")
                continue
            if present[name].replace('"', "") == sql_type:
                expressions.append(name)
                continue
            try:
                wrong = connection.execute(
                    f"SELECT {quoted(name)}::VARCHAR FROM {raw} "  # noqa: S608
                    f"WHERE {quoted(name)} IS NOT NULL AND {_is_lossy(quoted(name), sql_type)} LIMIT 1"
                ).fetchall()
            except duckdb.Error as error:
                raise ManifestError(
                    f"{self.url}: column '{name}' is {present[name]}, expected {sql_type} ({_first_line(error)})"
                ) from error
            if wrong:
                raise ManifestError(f"{self.url}: column '{name}' holds {wrong[0][0]!r:.80}, expected {sql_type}")
            expressions.append(f"CAST({quoted(name)} AS {sql_type}) AS {name}")
        return expressions

    def _own_columns(
        self, connection: duckdb.DuckDBPyConnection, raw: str, own: Mapping[str, str], fixed: Mapping[str, str]
    ) -> list[str]:
        expressions = []
        empty = empty_columns(connection, raw, own)
        for name, kind in own.items():
            if name in empty and name not in fixed:
                continue
            expression, lossy = conversion(connection, raw, name, kind, fixed)
            if lossy is not None:
                raise ManifestError(
                    f"{self.url}: column '{name}' holds {lossy!r:.80}, but the dataset's rows have {fixed[name]}; "
                    "convert the value, rename the column, or write to another --out"
                )
            expressions.append(expression)
        return expressions

    def _check_values(self, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        if not connection.execute(f"SELECT 1 FROM {relation} LIMIT 1").fetchall():  # noqa: S608
            raise ManifestError(f"{self.url} has no rows; there is nothing to do")
        conditions = " OR ".join(f"{name} IS NULL" for name in self.required)
        names = ", ".join(self.required)
        rows = connection.execute(f"SELECT {names} FROM {relation} WHERE {conditions} LIMIT 1").fetchall()  # noqa: S608
        if rows:
            row = dict(zip(self.required, rows[0], strict=True))
            empty = [name for name, value in row.items() if value is None]
            raise ManifestError(f"{self.url}: a row has no {' and no '.join(empty)}: {row}")

    def check_ids(self, connection: duckdb.DuckDBPyConnection, relation: str, among: str) -> None:
        """Validate ids: their format, and that each occurs once in `relation`.

        Args:
            connection: the connection of both tables.
            relation: SQL of the manifest, as `relation` returns it.
            among: SQL of a table with the ids to validate. Pending rows suffice: finished rows were validated before.

        Raises:
            ManifestError: a malformed or repeated id.
        """
        key = self.id_column
        bad = connection.execute(
            f"SELECT {key} FROM {among} WHERE {key} IN ('.', '..') "  # noqa: S608
            f"OR NOT regexp_full_match({key}, '{ID_PATTERN}') LIMIT 1"
        ).fetchall()
        if bad:
            raise ManifestError(
                f"{self.url}: {key} {bad[0][0][:60]!r} is not allowed; "
                "an id is 1 to 128 letters, digits, '.', '_' or '-'"
            )
        twice = connection.execute(
            f"SELECT {key}, count(*) FROM (SELECT {key} FROM {relation} SEMI JOIN {among} USING ({key})) "  # noqa: S608
            "GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 3"
        ).fetchall()
        if twice:
            shown = ", ".join(f"{name} ({count} times)" for name, count in twice)
            raise ManifestError(f"{self.url}: {key} must be unique, got {shown}")


def sql_type_of(kind: pa.DataType) -> str:
    """DuckDB name of an Arrow type. Supports the types of `pipelines.engine.schema`."""
    if pa.types.is_struct(kind):
        return f"STRUCT({', '.join(f'{field.name} {sql_type_of(field.type)}' for field in kind)})"
    if pa.types.is_list(kind):
        return f"{sql_type_of(kind.value_type)}[]"
    names = {
        pa.string(): "VARCHAR",
        pa.bool_(): "BOOLEAN",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
    }
    return names[kind]


def columns_of(types: Mapping[str, pa.DataType], names: Sequence[str]) -> dict[str, pa.DataType]:
    """Subset of `types` by column name."""
    return {name: types[name] for name in names}


def _is_lossy(column: str, sql_type: str) -> str:
    """SQL condition for a value that has no equal of the type."""
    missing = f"TRY_CAST({column} AS {sql_type}) IS NULL"
    if sql_type not in ("INTEGER", "BIGINT"):
        return missing
    return f"({missing} OR TRY_CAST({column} AS DOUBLE) != TRY_CAST({column} AS {sql_type})::DOUBLE)"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
