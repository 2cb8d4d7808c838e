"""Time limit of rows, enforced by a small process beside the worker.

A stopped worker, or one whose native code holds the interpreter's lock, runs no timer of its own. The process imports
the standard library and psutil only, until a row exceeds its limit.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.engine.ledger import Ledger

_HEADER = struct.Struct("<dQ")
"""Time limit in seconds and size of the pickled row in bytes; the limit is infinite between rows."""
_NO_LIMIT = float("inf")
_POLL_SECONDS = 2.0
"""Time between two looks at a worker that runs no row."""


class Watchdog:
    """Commits a failure and kills this process if a row exceeds its time limit.

    Args:
        ledger, schema: where and how rows are committed.
        stopped_seconds: maximum time that this process may be stopped between rows, before it is killed: Ray would wait
            for it for ever.
    """

    def __init__(self, ledger: Ledger, schema: pa.Schema, *, stopped_seconds: float) -> None:
        self._setting = pickle.dumps((os.getpid(), ledger, schema))
        self._stopped_seconds = stopped_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    @contextlib.contextmanager
    def limit(self, seconds: float, failed: Mapping[str, Any]) -> Iterator[None]:
        """Context manager with a time limit. `failed`: the row to commit when it is exceeded."""
        self._send(seconds, pickle.dumps(failed))
        try:
            yield
        finally:
            self._send(_NO_LIMIT, b"")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._pipe.close()
            self._process.wait()
            self._process = None

    def _send(self, seconds: float, row: bytes) -> None:
        if self._process is None or self._process.poll() is not None:
            self._start()
        try:
            self._write(seconds, row)
        except BrokenPipeError:  # killed by somebody: the row must not run without its limit
            self._start()
            self._write(seconds, row)

    def _start(self) -> None:
        self.close()
        # This project's packages come first: the worker's path may have others of the same names.
        entries = [str(Path(__file__).resolve().parents[2]), *(entry or str(Path.cwd()) for entry in sys.path)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipelines.engine.watchdog"],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(entries)},
            process_group=0,  # out of reach of the terminal's Ctrl-C
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        self._write(self._stopped_seconds, self._setting)

    def _write(self, seconds: float, payload: bytes) -> None:
        self._pipe.write(_HEADER.pack(seconds, len(payload)) + payload)
        self._pipe.flush()


def main() -> None:
    """Read settings and rows from standard input until it is closed, which it is when the worker ends."""
    stopped_seconds, setting = _receive()
    worker = psutil.Process(os.getppid())
    deadline, row, running_at = _NO_LIMIT, b"", time.monotonic()
    while True:
        wait = _POLL_SECONDS if deadline == _NO_LIMIT else max(0.0, deadline - time.monotonic())
        if select.select([0], [], [], wait)[0]:
            seconds, row = _receive()
            running_at = time.monotonic()
            deadline = running_at + seconds
        elif deadline != _NO_LIMIT:
            _time_out(setting, row)
            return
        elif not _is_stopped(worker):
            running_at = time.monotonic()
        elif time.monotonic() - running_at > stopped_seconds:
            worker.kill()
            return


def _is_stopped(worker: psutil.Process) -> bool:
    try:
        return bool(worker.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False  # its pipe is about to close


def _receive() -> tuple[float, bytes]:
    seconds, size = _HEADER.unpack(_read(_HEADER.size))
    return seconds, _read(size)


def _read(size: int) -> bytes:
    parts = []
    while size:
        part = os.read(0, size)
        if not part:
            sys.exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _time_out(setting: bytes, row: bytes) -> None:
    """Commit the failure and kill the worker, stopped first, so that it cannot finish the row in between."""
    worker, ledger, schema = pickle.loads(setting)  # noqa: S301  from the worker
    os.kill(worker, signal.SIGSTOP)
    try:
        ledger.commit(pickle.loads(row), schema)  # noqa: S301
    finally:
        os.kill(worker, signal.SIGKILL)


if __name__ == "__main__":
    main()
