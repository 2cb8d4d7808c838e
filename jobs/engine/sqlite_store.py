"""Exclusive access to MLflow's SQLite store while it is initialised."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def sole_access(database: Path | None) -> Iterator[None]:
    """Context manager with an exclusive lock on a SQLite store: MLflow's migrations do not support concurrency.

    `database`: its file; None for another store, which needs no lock.
    """
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with (database.parent / f".{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
