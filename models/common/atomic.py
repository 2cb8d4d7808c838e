"""Atomic file writes: a temporary file, renamed when complete."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Path of a hidden temporary file beside `path`, renamed to `path` when the block ends without an error.

    An existing `path` is replaced. After an error the temporary file is deleted and `path` is unchanged. The temporary
    name contains the process id, so processes can write the same `path` concurrently; the last rename wins.

    The data is not flushed to the disk (no fsync): a power failure may lose or truncate the file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
