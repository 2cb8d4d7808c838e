"""Digests of checkpoint files. Imports no torch: planning computes them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


class CheckpointError(ValueError):
    """A checkpoint file cannot be read, or is not of the network it was to fill."""


def file_digest(path: Path) -> str:
    """`sha256:…` of the file's content. Read once per process for a file that does not change.

    Raises:
        CheckpointError: there is no such file.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {path}") from None
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size_bytes: int, modified_ns: int) -> str:  # noqa: ARG001 (size and time tell a changed file)
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
