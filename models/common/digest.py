"""Digests and errors of checkpoint files. Imports no torch, because job planning uses it."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

NUM_NAMES_SHOWN = 5


class CheckpointError(ValueError):
    """A checkpoint file cannot be read or does not fit its network."""


def shortened(names: Sequence[str]) -> str:
    """The first `NUM_NAMES_SHOWN` names and the number of the others, for messages."""
    rest = len(names) - NUM_NAMES_SHOWN
    return ", ".join(names[:NUM_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def file_digest(path: Path) -> str:
    """`sha256:…` of the file's content, cached in the process while size and modification time are unchanged.

    Raises:
        CheckpointError: there is no such file.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(f"no checkpoint at {path}") from None
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(f"{path} is not a file")
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size_bytes: int, modified_ns: int) -> str:  # noqa: ARG001 (part of the cache key)
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
