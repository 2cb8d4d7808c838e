"""Exclusive write access to a dataset."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from stages.io.storage import Storage

log = logging.getLogger(__name__)

LOCK, LEASE = "_jobs/lock", "_jobs/lease.json"
LEASE_SECONDS = 120.0
"""Age after which an unrenewed lease counts as abandoned."""
LOOK_SECONDS = 0.05
"""Longer than `lock_holder` holds a lock."""


class DatasetBusyError(RuntimeError):
    """Another job is writing to this dataset."""


@contextlib.contextmanager
def dataset_lock(storage: Storage, job_id: str) -> Iterator[None]:
    """Context manager that gives one job exclusive write access to the dataset.

    On a local disk this is `flock`, which the kernel releases however the job ends. On an object store it is a lease
    file renewed by a thread. The lease is advisory: two jobs that start at the same moment may both acquire it. They
    then publish parts of the same names and contents, so no row is duplicated.

    Raises:
        DatasetBusyError: another job holds the lock; the message names it.
    """
    holder = {"job_id": job_id, "host": socket.gethostname(), "pid": os.getpid(), "renewed_at": time.time()}
    hold = _local_lock if storage.is_local else _lease
    with hold(storage, holder):
        yield


def lock_holder(storage: Storage) -> dict[str, Any] | None:
    """The record of the job that holds the lock, without taking it; None if it is free."""
    if not storage.is_local:
        with contextlib.suppress(FileNotFoundError):
            lease: dict[str, Any] = json.loads(storage.read(LEASE))
            return lease if time.time() - float(lease["renewed_at"]) < LEASE_SECONDS else None
        return None
    path = Path(storage.path(LOCK))
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read().strip()
            holder: dict[str, Any] = json.loads(text) if text else {}
            return holder
    return None


def _busy(storage: Storage, holder: str) -> DatasetBusyError:
    return DatasetBusyError(
        f"another job is writing to {storage.url} ({holder or 'holder unknown'}); "
        "wait for it to end, stop it, or give this job another --out"
    )


@contextlib.contextmanager
def _local_lock(storage: Storage, holder: dict[str, object]) -> Iterator[None]:
    path = Path(storage.path(LOCK))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            _take(file)
        except BlockingIOError as error:
            file.seek(0)
            raise _busy(storage, file.read().strip()) from error
        file.truncate(0)
        file.write(json.dumps(holder))
        file.flush()
        yield


def _take(file: IO[str]) -> None:
    """Lock a file. Tried twice, because `lock_holder` holds it for a moment. Raises BlockingIOError."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(LOOK_SECONDS)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def _lease(storage: Storage, holder: dict[str, object]) -> Iterator[None]:
    name = LEASE
    if storage.exists(name):
        try:
            current = json.loads(storage.read(name))
        except ValueError:  # cut short: as old as its holder
            current = {"renewed_at": 0.0}
        if time.time() - float(current["renewed_at"]) < LEASE_SECONDS:
            raise _busy(storage, json.dumps(current))
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(LEASE_SECONDS / 4):
            try:
                storage.publish(name, json.dumps({**holder, "renewed_at": time.time()}).encode())
            except OSError as error:
                # A later attempt may succeed: the lease outlasts three failed renewals.
                log.warning("the lease on %s could not be renewed: %s", storage.url, error)

    storage.publish(name, json.dumps(holder).encode())
    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        storage.delete(name)
