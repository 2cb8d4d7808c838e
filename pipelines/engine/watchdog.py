"""Time limit of rows, enforced by a small process beside the worker.

A stopped worker, or one whose native code holds the interpreter's lock, runs no timer of its own. The process imports
the standard library only, until a row exceeds its limit.
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

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.engine.ledger import Ledger

_HEADER = struct.Struct("<dQ")
"""Time limit in seconds and size of the pickled row in bytes; the limit is infinite between rows."""
_NO_LIMIT = float("inf")


class Watchdog:
    """Commits a failure and kills this process if a row exceeds its time limit."""

    def __init__(self, ledger: Ledger, schema: pa.Schema) -> None:
        self._setting = pickle.dumps((os.getpid(), ledger, schema))
        self._process: subprocess.Popen[bytes] | None = None

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
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.engine.watchdog"],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            process_group=0,  # out of reach of the terminal's Ctrl-C
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        self._write(_NO_LIMIT, self._setting)

    def _write(self, seconds: float, payload: bytes) -> None:
        self._pipe.write(_HEADER.pack(seconds, len(payload)) + payload)
        self._pipe.flush()


def main() -> None:
    """Read settings and rows from standard input until it is closed, which it is when the worker ends."""
    setting = _receive()[1]
    deadline, row = _NO_LIMIT, b""
    while True:
        remaining = None if deadline == _NO_LIMIT else max(0.0, deadline - time.monotonic())
        if not select.select([0], [], [], remaining)[0]:
            _time_out(setting, row)
            return
        seconds, row = _receive()
        deadline = time.monotonic() + seconds


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
