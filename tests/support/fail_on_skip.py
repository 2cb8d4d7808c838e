"""Pytest hooks that report a skipped test as failed when `ZOETROPE_FAIL_ON_SKIP=1`.

Continuous integration sets the variable: tests that need a browser, the repository's data or real media must run there.
Tests of packages, devices and weights that it does not install may skip, by the marks and reasons listed here.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"

ALLOWED_MARKS = frozenset({"weights", "gpu"})
"""Published weights and CUDA devices."""

ALLOWED_REASONS = (
    "the package sam2 is not installed",
    "decord (an extra) is not installed",
    "a small disk cannot be mounted",  # containers without the privilege to mount
    "cannot mount a small file system",
)
"""Beginnings of the reasons for which a test may skip anywhere."""

REASONS_WITHOUT_DATA = {
    "no optional golden data": SHARED / "golden",
    "no real media": SHARED / "media",
}
"""Beginnings of the reasons for which a test may skip where the folder is absent."""


def is_allowed(reason: str, marks: frozenset[str] = frozenset()) -> bool:
    """Whether a test with these marks may skip for this reason."""
    if marks & ALLOWED_MARKS or reason.startswith(ALLOWED_REASONS):
        return True
    return any(reason.startswith(start) and not folder.is_dir() for start, folder in REASONS_WITHOUT_DATA.items())


def fail_unless_allowed(report: pytest.TestReport | pytest.CollectReport, marks: frozenset[str] = frozenset()) -> None:
    if os.environ.get("ZOETROPE_FAIL_ON_SKIP") != "1" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not is_allowed(reason, marks):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} skipped, and ZOETROPE_FAIL_ON_SKIP=1 requires it to run: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_unless_allowed(report, frozenset(mark.name for mark in item.iter_markers()))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    report: pytest.CollectReport = yield
    fail_unless_allowed(report)
    return report
