"""Counts of a run, and the detection of faults that are not those of single rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stages.outcome import Reason, Status

NUM_EXAMPLES = 3
_UNEXPECTED = frozenset({Reason.UNEXPECTED_ERROR.value, Reason.CRASH.value})


class SystemicFaultError(RuntimeError):
    """So many rows failed in a row that the cause is probably not theirs. Finished rows are committed."""


@dataclass(kw_only=True, slots=True)
class Streak:
    """Rows in a row with outcomes of one kind."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, result: Mapping[str, Any], *, belongs: bool) -> None:
        """Count a row; one that does not belong ends the streak."""
        if not belongs:
            self.count, self.first = 0, []
            return
        self.count += 1
        if len(self.first) < NUM_EXAMPLES:
            last_line = (result["message"] or "").strip().rsplit("\n", 1)[-1]
            self.first.append(f"{result['id']}: {result['reason']}: {last_line}")


@dataclass(kw_only=True, slots=True)
class Tally:
    """Counts of one run, for progress and throughput. Final counts are read back from the ledger."""

    rows: int = 0
    failed: int = 0
    seconds_by_stage: dict[str, float] = field(default_factory=dict)
    failures: Streak = field(default_factory=Streak)
    unexpected: Streak = field(default_factory=Streak)

    @property
    def seconds(self) -> float:
        """Time of all stages, without loading."""
        return sum(seconds for stage, seconds in self.seconds_by_stage.items() if not stage.endswith(".load"))

    def add(self, result: Mapping[str, Any]) -> None:
        """Count the result of a row."""
        self.rows += 1
        for stage, seconds in json.loads(result["seconds"]).items():
            self.seconds_by_stage[stage] = self.seconds_by_stage.get(stage, 0.0) + seconds
        failed = result["status"] == Status.FAILED
        self.failed += failed
        self.failures.add(result, belongs=failed)
        self.unexpected.add(result, belongs=failed and result["reason"] in _UNEXPECTED)

    def check(self, *, max_failures: int | None, max_unexpected: int | None) -> None:
        """Raise SystemicFaultError if more rows than allowed failed in a row. None: unlimited."""
        limits = (
            ("errors that no row should cause", self.unexpected, max_unexpected, "max_unexpected_in_a_row"),
            ("failures", self.failures, max_failures, "max_failed_in_a_row"),
        )
        for noun, streak, limit, name in limits:
            if limit is not None and streak.count > limit:
                raise SystemicFaultError(
                    f"stopped after {streak.count} {noun} in a row (limits.{name} is {limit}); the first: "
                    f"{'; '.join(streak.first)}. Once the cause is mended, `zoetrope retry` runs the failed rows "
                    f"again, and the same command the others; with limits.{name}=null, it does not stop"
                )
