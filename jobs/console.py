"""What a job says while it runs: quiet when nobody watches, one JSON object when a program does."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipelines.runner import Tally

LOG_EVERY_SECONDS = 30.0


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
    def progress(self, total: int) -> Iterator[Callable[[Tally], None]]:
        """A bar on a terminal; a line every half minute elsewhere."""
        if not self.stream.isatty():
            yield self._every_half_minute(total)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as bar:
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
