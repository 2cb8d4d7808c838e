"""What pipelines need of a storage beyond reading and publishing: DuckDB's way to its files."""

from __future__ import annotations

from typing import Any

import duckdb

from stages.io.storage import Storage, is_local, open_file_system, store_errors

__all__ = ["Storage", "is_local", "open_file_system", "register_file_system", "store_errors"]


def register_file_system(connection: duckdb.DuckDBPyConnection, fs: Any) -> None:
    """Let DuckDB open the URLs of `fs`; twice does no harm."""
    name = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    if not is_local(fs) and name not in connection.list_filesystems():
        connection.register_filesystem(fs)
