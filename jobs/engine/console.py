"""What a job says while it runs: quiet when nobody watches, one JSON object when a program does."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipelines.engine.runner import Tally

LOG_EVERY_SECONDS = 30.0
LOOK_EVERY_SECONDS = 1.0

LookAtRows = Callable[[], "Sequence[RowProgress]"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowProgress:
    """How far one long row is, in steps."""

    row_id: str
    done: int
    total: int


class Console:
    """Lines for a person on stdout, or, with `json_only`, on stderr, so that stdout holds the JSON object alone."""

    def __init__(self, *, json_only: bool = False) -> None:
        self.stream = sys.stderr if json_only else sys.stdout

    def line(self, text: str) -> None:
        """One line of what is going on."""
        print(text, file=self.stream, flush=True)

    def notice(self, text: str) -> None:
        """Something a person should know before trusting the results."""
        print(f"note: {text}", file=self.stream, flush=True)

    def error(self, text: str) -> None:
        """What went wrong, on one line."""
        print(f"error: {' '.join(text.split())}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def progress(self, total: int, rows: LookAtRows | None = None) -> Iterator[Callable[[Tally], None]]:
        """A bar on a terminal, and one for each row in hand if `rows` tells of them; a line every half minute
        elsewhere.
        """
        if not self.stream.isatty():
            yield self._every_half_minute(total)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as bar, _watching(bar, rows):
            task = bar.add_task("running", total=total)
            yield lambda tally: bar.update(task, completed=tally.rows, description=f"{tally.failed} failed")

    def _every_half_minute(self, total: int) -> Callable[[Tally], None]:
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
def _watching(bar: Progress, rows: LookAtRows | None) -> Iterator[None]:
    """Bars for the rows in hand, looked at from a thread of its own: the driver hears of a row when it is done."""
    if rows is None:
        yield
        return
    stop = threading.Event()

    def watch() -> None:
        tasks: dict[str, TaskID] = {}
        while not stop.wait(LOOK_EVERY_SECONDS):
            try:
                seen = {row.row_id: row for row in rows()}
            except (OSError, ValueError):  # a storage that hiccups costs a look, not the job
                continue
            for row_id in tasks.keys() - seen.keys():
                bar.remove_task(tasks.pop(row_id))
            for row_id, row in seen.items():
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
