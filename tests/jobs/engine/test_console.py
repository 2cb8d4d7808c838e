from __future__ import annotations

import io
import threading
import time

import pytest

from jobs.engine import console
from jobs.engine.console import Console, RowProgress
from pipelines.engine.tally import Tally


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

    monkeypatch.setattr(console, "Progress", Bars)
    job_console = Console()
    job_console.stream = Terminal()
    with job_console.progress(4, rows) as advance:
        wait_for(looks, 5)
        advance(Tally(rows=1, failed=1))
    assert shown == ["long-row 1", "long-row 3", "long-row gone", "running 1 1 failed", "end"]
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


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
