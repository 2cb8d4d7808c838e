"""Totals of the faults, at the end of the run."""

from __future__ import annotations

import collections

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    totals: collections.Counter[str] = collections.Counter()
    survived: dict[str, list[int]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            noted = dict(report.user_properties)
            if report.when != "call" or "kind" not in noted:
                continue
            counts = survived.setdefault(str(noted["kind"]), [0, 0])
            counts[0] += outcome == "passed"
            counts[1] += 1
            totals.update({name: int(noted.get(name, 0)) for name in ("lost", "doubled", "equal")})
    if not survived:
        return
    terminalreporter.section("faults")
    for kind, (good, runs) in sorted(survived.items()):
        terminalreporter.write_line(f"{kind:<32} survived {good}/{runs}")
    good, runs = (sum(counts[place] for counts in survived.values()) for place in (0, 1))
    terminalreporter.write_line(
        f"survived {good}/{runs}, rows lost {totals['lost']}, doubled {totals['doubled']}, "
        f"final dataset equal to an unbroken run's {totals['equal']}/{runs}"
    )
