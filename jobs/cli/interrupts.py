"""Ends of a command by SIGINT (Ctrl-C) and SIGTERM (Kubernetes): in order, within a limit, or at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

import psutil

LIMIT_SECONDS = 8.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LINE = "interrupted; finished work is committed, and the same command continues"


class Interrupts:
    """Handler of both signals.

    The first raises KeyboardInterrupt in the main thread, so that locks are freed and the job accounts for its rows.
    The second, or the limit, ends the process and its children whatever the main thread does: a native call delays
    Python's handlers, and a library may swallow the exception. A thread therefore reads the signals as well.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        """The first signal."""
        self._raised = self._entered = False

    def __enter__(self) -> Interrupts:
        """Handle signals from now on. Only in the main thread of a process."""
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._wakeup_fd_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers_before = {number: signal.signal(number, self._raise) for number in _SIGNALS}
        threading.Thread(target=self._watch, args=(reader,), name="signals", daemon=True).start()
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        """End the process after a signal, whatever the command made of it. Otherwise, restore the handlers."""
        self._entered = False
        if self.received is not None:
            self._end()
        signal.set_wakeup_fd(self._wakeup_fd_before)
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        os.close(self._writer)

    def _raise(self, number: int, _frame: FrameType | None) -> None:
        if not self._raised:
            self._raised = True
            self.received = self.received or signal.Signals(number)
            if not self._entered:  # nobody would catch it
                self._end()
            raise KeyboardInterrupt

    def _watch(self, reader: int) -> None:
        """Read the signals as they arrive, until `__exit__` closes the pipe."""
        limit: threading.Timer | None = None
        while number := os.read(reader, 1):
            if number[0] not in _SIGNALS:
                continue
            self.received = self.received or signal.Signals(number[0])
            if limit is not None:
                self._end()
            limit = threading.Timer(LIMIT_SECONDS, self._end)
            limit.daemon = True
            limit.start()
        os.close(reader)

    def _end(self) -> NoReturn:
        """Print the closing line and end the process and its children, with exit code 128 + signal."""
        assert self.received is not None
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, RuntimeError):  # RuntimeError: the main thread is writing
                stream.flush()
        with contextlib.suppress(OSError):
            os.write(2, f"error: {_LINE}\n".encode())
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        # Not sys.exit: threads and destructors of native libraries may hang or abort.
        os._exit(128 + self.received)
