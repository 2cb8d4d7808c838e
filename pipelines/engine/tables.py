"""Tables of a dataset's storage: DuckDB access to their files."""

from __future__ import annotations

from typing import Any

import duckdb

from stages.io.storage import is_local


def register_file_system(connection: duckdb.DuckDBPyConnection, fs: Any) -> None:
    """Register `fs` with DuckDB so that it can open its URLs. No-op for the local file system or a repeated call."""
    name = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    if not is_local(fs) and name not in connection.list_filesystems():
        connection.register_filesystem(fs)
