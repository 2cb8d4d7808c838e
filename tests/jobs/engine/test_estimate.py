"""Estimates of time, memory and disk in a dry run, from finished rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import toy

from jobs.engine.estimate import estimate, estimate_lines, group_lines, size
from pipelines.engine.explain import Reasons
from pipelines.engine.steps import fuse

SECONDS = {"decode": 1.0, "sum": 6.0, "select": 1.0}


def reasons(**changes: Any) -> Reasons:
    facts: dict[str, Any] = {
        "new": 100,
        "changed_inputs": {},
        "num_changed_inputs": 0,
        "changed_columns": 0,
        "stale": 0,
        "failed_before": 0,
        "changed": (),
        "run_again": ("decode", "sum", "select"),
        "reused": (),
        "seconds_by_stage": SECONDS,
        "num_timed": 20,
        "memory_mib": 1500.0,
        "num_stored": 20,
    }
    return Reasons(**{**facts, **changes})


def job() -> Any:
    """The part of a job that the estimate reads."""
    return SimpleNamespace(steps=toy.steps())


def test_time_memory_and_disk_are_those_of_finished_rows() -> None:
    found = estimate(job(), reasons(), 100, stored_bytes=20_000_000)
    assert found is not None
    assert found.seconds == 800.0
    assert found.seconds_on_this_machine == 800.0 / found.num_workers
    assert found.output_bytes == 100_000_000
    time, disk = estimate_lines(found)
    assert time.startswith("time: about 13 min for one worker, ")
    assert time.endswith(" from 20 finished rows; sum takes 75%")
    assert disk == "memory: up to 1.6 GB a worker; disk: about 100.0 MB to write"


def test_stale_rows_take_what_is_run_again() -> None:
    why = reasons(new=0, stale=100, run_again=("select",), reused=("decode", "sum"), memory_mib=None)
    found = estimate(job(), why, 100, stored_bytes=20)
    assert found is not None
    assert found.seconds == 100.0
    assert estimate_lines(found)[0].endswith("; select takes 100%")
    assert estimate_lines(found)[1] == "disk: about 0.1 kB to write"


@pytest.mark.parametrize(("why", "pending"), [(reasons(seconds_by_stage={}), 5), (reasons(new=0), 0)])
def test_nothing_is_estimated_without_rows(why: Reasons, pending: int) -> None:
    assert estimate(job(), why, pending, stored_bytes=0) is None


def test_workers_that_finish_in_a_night_are_counted_by_group() -> None:
    groups = fuse(toy.steps())
    many = estimate(job(), reasons(new=100_000), 100_000, stored_bytes=0)
    (line,) = group_lines(groups, many)
    assert line.endswith(": decode, sum, select (28 finish in 8.0 h)")
    assert "finish in" not in group_lines(groups, estimate(job(), reasons(), 100, stored_bytes=0))[0]
    assert "finish in" not in group_lines(groups, None)[0]


def test_sizes_have_the_unit_that_suits_them() -> None:
    assert [size(n) for n in (10, 5e6, 7.2e9, 3e12)] == ["0.0 kB", "5.0 MB", "7.2 GB", "3.0 TB"]
