"""Running a list of stages over one row: reuse of what is unchanged, outcomes instead of exceptions, times."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from stages.base import Row, Stage
from stages.outcome import BadRow, OutputRefusedError, Reason, Status

MESSAGE_CHARS = 2000


def stages_to_run(stages: Sequence[Stage[Any]], reusable: frozenset[str]) -> list[Stage[Any]]:
    """The stages that must run when the durable columns of those named `reusable` are at hand.

    A stage whose columns live in memory only (frames) runs again exactly when a stage that runs reads one of them.
    """
    wanted: set[str] = set()
    chosen: list[Stage[Any]] = []
    for stage in reversed(stages):
        if stage.name not in reusable or stage.writes & stage.transient & wanted:
            chosen.append(stage)
            wanted |= stage.reads
    return chosen[::-1]


def reuse(
    row: Row, previous: Mapping[str, Any], stages: Sequence[Stage[Any]], keys: Mapping[str, str]
) -> frozenset[str]:
    """Copy into `row` what `previous`, the row of an earlier run, holds of unchanged stages; returns their names."""
    old_keys: Mapping[str, str] = previous.get("stage_keys") or {}
    same: set[str] = set()
    for stage in stages:
        durable = stage.writes - stage.transient
        if old_keys.get(stage.name) == keys[stage.name] and durable <= previous.keys():
            same.add(stage.name)
            row.update({column: previous[column] for column in durable})
    return frozenset(same)


def run_row(
    row: Row, stages: Sequence[Stage[Any]], keys: Mapping[str, str], reusable: frozenset[str] = frozenset()
) -> Row:
    """`row` taken through `stages`; what happened is in its outcome columns.

    Adds `status` and, unless it is ok, `stage`, `reason` and `message`; extends `stage_keys` (the stages whose
    columns the row holds) and `seconds_by_stage`, where what a stage had to load for the row is counted apart.

    Raises:
        OutputRefusedError: a stage could not publish a file. Nothing else is raised.
    """
    kept: dict[str, str] = {**row.get("stage_keys", {}), **{name: keys[name] for name in reusable}}
    seconds: dict[str, float] = dict(row.get("seconds_by_stage", {}))
    row = {**row, "stage_keys": kept, "seconds_by_stage": seconds, "status": Status.OK.value}
    for stage in stages:
        started = time.perf_counter()
        try:
            if stage.load(row):
                loaded = time.perf_counter()
                seconds[f"{stage.name}.load"] = loaded - started
                started = loaded
            row = stage(row)
        except BadRow as bad:
            row |= outcome(bad.status, stage.name, bad.reason, bad.message)
        except OutputRefusedError:
            raise
        except MemoryError as error:
            row |= outcome(
                Status.FAILED, stage.name, Reason.OUT_OF_MEMORY, str(error) or "the worker ran out of memory"
            )
        except Exception:  # noqa: BLE001  anything else is recorded with its traceback, and counts against the job's limit
            row |= outcome(Status.FAILED, stage.name, Reason.UNEXPECTED_ERROR, traceback.format_exc())
        else:
            kept[stage.name] = keys[stage.name]
        seconds[stage.name] = time.perf_counter() - started
        if row["status"] != Status.OK:
            break
    return row


def outcome(status: Status, stage: str, reason: Reason, message: str) -> Row:
    """The outcome columns of a row that ends here. The end of a long message is kept: that is where a traceback says
    why.
    """
    if len(message) > MESSAGE_CHARS:
        message = "…" + message[-MESSAGE_CHARS:]
    return {"status": status.value, "stage": stage, "reason": reason.value, "message": message}
