"""Execution of stages on one row: reuse of unchanged columns, conversion of exceptions to outcomes, timing."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from models.finite import NotFiniteError
from stages.base import Row, Stage
from stages.outcome import BadRow, OutputRefusedError, Reason, Status
from stages.redact import redact_text

MESSAGE_CHARS = 2000


def stages_to_run(stages: Sequence[Stage[Any]], reusable: frozenset[str]) -> list[Stage[Any]]:
    """Stages to run, in order, given that the durable columns of the stages named `reusable` are available.

    A reusable stage runs again if a stage to run reads one of its transient columns, such as frames.
    """
    required: set[str] = set()
    chosen: list[Stage[Any]] = []
    for stage in reversed(stages):
        if stage.name not in reusable or stage.writes & stage.transient & required:
            chosen.append(stage)
            required |= stage.reads
    return chosen[::-1]


def reuse(
    row: Row, previous: Mapping[str, Any], stages: Sequence[Stage[Any]], keys: Mapping[str, str]
) -> frozenset[str]:
    """Copy the columns of unchanged stages from `previous`, an earlier version of the row, to `row`, in place.

    Returns the names of these stages.
    """
    old_keys: Mapping[str, str] = previous.get("stage_keys") or {}
    # Null in rows of earlier versions; an equal key means the same network.
    networks: Mapping[str, str] = previous.get("networks") or {}
    unchanged: set[str] = set()
    kept: dict[str, str] = {}
    for stage in stages:
        durable = stage.writes - stage.transient
        if old_keys.get(stage.name) == keys[stage.name] and durable <= previous.keys():
            unchanged.add(stage.name)
            row.update({column: previous[column] for column in durable})
            kept |= {name: network for name, network in (networks or stage.networks(row)).items() if name == stage.name}
    row["networks"] = kept
    return frozenset(unchanged)


def run_row(
    row: Row, stages: Sequence[Stage[Any]], keys: Mapping[str, str], reusable: frozenset[str] = frozenset()
) -> Row:
    """Apply `stages` to `row`; exceptions become outcome columns.

    Adds `status` and, unless it is ok, `stage`, `reason` and `message`. Extends `stage_keys` (the stages whose columns
    are present), `networks` (those that processed the row, by stage) and `seconds_by_stage` (with load times separate).

    Raises:
        OutputRefusedError: a stage could not publish a file. The only exception raised.
    """
    kept: dict[str, str] = {**row.get("stage_keys", {}), **{name: keys[name] for name in reusable}}
    networks: dict[str, str] = dict(row.get("networks", {}))
    seconds: dict[str, float] = dict(row.get("seconds_by_stage", {}))
    row = {**row, "stage_keys": kept, "networks": networks, "seconds_by_stage": seconds, "status": Status.OK.value}
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
        except NotFiniteError as error:
            row |= outcome(Status.FAILED, stage.name, Reason.NOT_FINITE, str(error))
        except Exception:  # noqa: BLE001  recorded with its traceback, and counted against the job's limit
            row |= outcome(Status.FAILED, stage.name, Reason.UNEXPECTED_ERROR, traceback.format_exc())
        else:
            kept[stage.name] = keys[stage.name]
        seconds[stage.name] = time.perf_counter() - started
        networks |= stage.networks(row)
        if row["status"] != Status.OK:
            break
    return row


def outcome(status: Status, stage: str, reason: Reason, message: str) -> Row:
    """Outcome columns of a rejected or failed row.

    Credentials of URIs in the message are redacted. A long message keeps its end, where a traceback has its cause.
    """
    message = redact_text(message)
    if len(message) > MESSAGE_CHARS:
        message = "…" + message[-MESSAGE_CHARS:]
    return {"status": status.value, "stage": stage, "reason": reason.value, "message": message}
