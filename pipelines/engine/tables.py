"""Tables of a dataset's storage: publication as Parquet, and DuckDB access to their files."""

from __future__ import annotations

import io
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stages.io.storage import Storage, is_local

_DESCRIPTION = ".huggingface.yaml"


def publish_table(storage: Storage, name: str, table: pa.Table, *, row_group_size: int | None = None) -> None:
    """Publish `table` as the zstd-compressed Parquet file `name`, atomically replacing an older one.

    Args:
        storage: the folder that `name` is relative to.
        name: relative path of the file.
        table: held in memory a second time, encoded.
        row_group_size: maximum number of rows per row group; None: pyarrow's default.

    Raises:
        OSError: the storage refused the file. An older one is untouched.
    """
    buffer = io.BytesIO()
    # Without dictionaries, because their pages are not covered by the checksums; zstd finds repeated values as well.
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        row_group_size=row_group_size,
        use_dictionary=False,
        write_page_checksum=True,
    )
    storage.publish(name, buffer.getvalue())


def describe_dataset(storage: Storage) -> None:
    """Publish the names of a dataset's data files for Hugging Face datasets, which would open all other files as well.

    No-op if they are published. Other readers ignore hidden files.
    """
    if not storage.exists(_DESCRIPTION):
        storage.publish(_DESCRIPTION, b"configs:\n- config_name: default\n  data_files: rows-*.parquet\n")


def register_file_system(connection: duckdb.DuckDBPyConnection, fs: Any) -> None:
    """Register `fs` with DuckDB so that it can open its URLs. No-op for the local file system or a repeated call."""
    name = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    if not is_local(fs) and name not in connection.list_filesystems():
        connection.register_filesystem(fs)


def column_types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """DuckDB types by name of the columns of a SQL relation."""
    return {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}  # noqa: S608


def column_names(connection: duckdb.DuckDBPyConnection, relation: str) -> set[str]:
    """Names of the columns of a SQL relation (`Ledger.relation`)."""
    return set(column_types(connection, relation))
