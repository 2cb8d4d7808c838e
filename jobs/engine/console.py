"""Console output of a job: lines, progress bars on a terminal, periodic progress lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.redact import redact_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from pipelines.engine.runner import Tally

LOG_EVERY_SECONDS = 30.0
"""Time between two progress lines, if fewer than a tenth of the rows end in it."""
LOG_AT_LEAST_SECONDS = 5.0
"""Shortest time between two progress lines."""
POLL_SECONDS = 1.0

ReadRowProgress = Callable[[], "Sequence[RowProgress]"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowProgress:
    """Progress of one running row, in steps."""

    row_id: str
    done: int
    total: int


class Console:
    """Prints lines to stdout, or to stderr with `json_only`, to reserve stdout for the JSON object.

    Credentials of URIs are redacted.
    """

    def __init__(self, *, json_only: bool = False) -> None:
        self.stream = sys.stderr if json_only else sys.stdout

    def line(self, text: str) -> None:
        """Print a line."""
        print(redact_text(text), file=self.stream, flush=True)

    def notice(self, text: str) -> None:
        """Print a notice about the reliability or the licence of results."""
        print(f"note: {redact_text(text)}", file=self.stream, flush=True)

    def error(self, text: str) -> None:
        """Print an error to stderr, on one line."""
        print(f"error: {redact_text(' '.join(text.split()))}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def progress(self, total: int, rows: ReadRowProgress | None = None) -> Iterator[Callable[[Tally], None]]:
        """Context manager with a callback that reports a `Tally`.

        Shows a bar on a terminal, and one per running row with `rows`; elsewhere, prints a line every 30 seconds and
        with every tenth of the rows.

        Args:
            total: number of rows.
            rows: returns the progress of running rows; called once per second, in a thread.
        """
        if not self.stream.isatty():
            with _progress_lines(self, total) as advance:
                yield advance
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as bar, _row_bars(bar, rows):
            task = bar.add_task("running", total=total)
            yield lambda tally: bar.update(task, completed=tally.rows, description=f"{tally.failed} failed")


def duration(seconds: float) -> str:
    """A duration in words, in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextlib.contextmanager
def _progress_lines(console: Console, total: int) -> Iterator[Callable[[Tally], None]]:
    """Context manager with a callback that prints progress lines. A thread prints them while no row ends."""
    lines = _ProgressLines(console, total)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(min(LOG_EVERY_SECONDS, POLL_SECONDS)):
            lines.print_if_late()

    with _thread(watch, stop):
        yield lines.advance


class _ProgressLines:
    """Decides when a progress line is due, and prints it."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._started = self._printed_at = time.monotonic()
        self._rows = self._failed = self._printed_rows = 0
        self._lock = threading.Lock()

    def advance(self, tally: Tally) -> None:
        with self._lock:
            self._rows, self._failed = tally.rows, tally.failed
            tenth = self._rows * 10 // self._total > self._printed_rows * 10 // self._total
            if tenth and time.monotonic() - self._printed_at >= LOG_AT_LEAST_SECONDS:
                self._print()

    def print_if_late(self) -> None:
        with self._lock:
            if time.monotonic() - self._printed_at >= LOG_EVERY_SECONDS:
                self._print()

    def _print(self) -> None:
        now = time.monotonic()
        self._printed_at, self._printed_rows = now, self._rows
        seconds = now - self._started
        if self._rows:
            left = duration(seconds / self._rows * (self._total - self._rows))
            pace = f"{self._rows / seconds:.2f} rows/s, {left} left"
        else:
            pace = f"{duration(seconds)} since the start"
        share = f"{self._rows / self._total:.0%}"
        self._console.line(f"  {self._rows} of {self._total} rows ({share}), {self._failed} failed, {pace}")


@contextlib.contextmanager
def _thread(watch: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Context manager with `watch` in a thread, which returns after `stop` is set."""
    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def _row_bars(bar: Progress, rows: ReadRowProgress | None) -> Iterator[None]:
    """Context manager that shows bars for running rows, updated by a thread that polls `rows`."""
    if rows is None:
        yield
        return
    stop = threading.Event()

    def watch() -> None:
        tasks: dict[str, TaskID] = {}
        while not stop.wait(POLL_SECONDS):
            try:
                running = {row.row_id: row for row in rows()}
            except (OSError, ValueError):  # a transient storage error: try again next time
                continue
            for row_id in tasks.keys() - running.keys():
                bar.remove_task(tasks.pop(row_id))
            for row_id, row in running.items():
                if row_id not in tasks:
                    tasks[row_id] = bar.add_task(f"  {row_id[:40]}", total=row.total)
                bar.update(tasks[row_id], completed=row.done)

    with _thread(watch, stop):
        yield
