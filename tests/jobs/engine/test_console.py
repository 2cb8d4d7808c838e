from __future__ import annotations

import io
import re
import threading
import time

import pytest
import rich.progress

from jobs.engine import console
from jobs.engine.console import Console, RowProgress, duration
from pipelines.engine.runner import Tally


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "POLL_SECONDS", 0.01)


def wait_for(looks: list[int], count: int) -> None:
    deadline = time.monotonic() + 5
    while len(looks) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(looks) >= count


def test_a_terminal_shows_how_far_the_rows_in_hand_are(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    shown: list[str] = []

    class Bars:
        def __init__(self, *_: object, **__: object) -> None:
            self.names: dict[int, str] = {}

        def __enter__(self) -> Bars:
            return self

        def __exit__(self, *_: object) -> None:
            shown.append("end")

        def add_task(self, name: str, total: int) -> int:
            self.names[len(self.names)] = name.strip()
            return len(self.names) - 1

        def update(self, task: int, *, completed: int, description: str = "") -> None:
            shown.append(f"{self.names[task]} {completed} {description}".strip())

        def remove_task(self, task: int) -> None:
            shown.append(f"{self.names[task]} gone")

    def rows() -> list[RowProgress]:
        looks.append(1)
        match len(looks):
            case 1 | 3:
                return [RowProgress(row_id="long-row", done=len(looks), total=20)]
            case 2:
                raise OSError("the store hiccups")
        return []

    monkeypatch.setattr(rich.progress, "Progress", Bars)
    job_console = Console()
    job_console.stream = Terminal()
    with job_console.progress(4, rows) as advance:
        wait_for(looks, 5)
        advance(Tally(rows=1, failed=1))
    assert shown == ["long-row 1", "long-row 3", "long-row gone", "running 1 1 failed", "end"]
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def progress_lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_elsewhere_a_line_appears_with_each_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "LOG_AT_LEAST_SECONDS", 0.0)
    job_console = Console()
    job_console.stream = io.StringIO()
    with job_console.progress(40) as advance:
        for rows in (1, 3, 4, 5, 7, 40):
            time.sleep(0.002)
            advance(Tally(rows=rows, failed=rows // 5))
    lines = progress_lines(job_console.stream)
    assert [line.split(", ")[:2] for line in lines] == [
        ["  4 of 40 rows (10%)", "0 failed"],
        ["  40 of 40 rows (100%)", "8 failed"],
    ]
    assert all(re.search(r", \d+\.\d\d rows/s, (\d+ s|\d+ min|[\d.]+ h) left$", line) for line in lines)


def test_elsewhere_lines_that_would_follow_at_once_are_left_out() -> None:
    job_console = Console()
    job_console.stream = io.StringIO()
    with job_console.progress(4) as advance:
        for rows in range(1, 5):
            advance(Tally(rows=rows))
    assert job_console.stream.getvalue() == ""


def test_elsewhere_a_job_of_slow_rows_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "LOG_EVERY_SECONDS", 0.02)
    job_console = Console()
    job_console.stream = io.StringIO()
    with job_console.progress(4):
        deadline = time.monotonic() + 5
        while len(progress_lines(job_console.stream)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = progress_lines(job_console.stream)
    assert re.fullmatch(r"  0 of 4 rows \(0%\), 0 failed, \d+ s since the start", lines[1])
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (89, "89 s"), (600, "10 min"), (5399, "90 min"), (36000, "10.0 h")]
)
def test_durations_have_the_unit_of_their_size(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_elsewhere_it_is_quiet_and_nobody_looks(quick: None) -> None:
    looks: list[int] = []

    def rows() -> list[RowProgress]:
        looks.append(1)
        return []

    job_console = Console()
    job_console.stream = io.StringIO()
    with job_console.progress(4, rows) as advance:
        time.sleep(0.1)
        advance(Tally(rows=1))
    assert looks == []
    assert job_console.stream.getvalue() == ""
