"""Console output of a job: lines, progress bars on a terminal, periodic progress lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipelines.engine.runner import Tally
from stages.redact import redact_text

LOG_EVERY_SECONDS = 30.0
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

        Shows a bar on a terminal, and one per running row with `rows`; elsewhere, prints a line every 30 seconds.

        Args:
            total: number of rows.
            rows: returns the progress of running rows; called once per second, in a thread.
        """
        if not self.stream.isatty():
            yield self._periodic_lines(total)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as bar, _row_bars(bar, rows):
            task = bar.add_task("running", total=total)
            yield lambda tally: bar.update(task, completed=tally.rows, description=f"{tally.failed} failed")

    def _periodic_lines(self, total: int) -> Callable[[Tally], None]:
        started = last = time.monotonic()

        def advance(tally: Tally) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= LOG_EVERY_SECONDS:
                last = now
                rate = tally.rows / (now - started)
                self.line(f"  {tally.rows} of {total} rows, {tally.failed} failed, {rate:.2f} rows/s")

        return advance


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

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
