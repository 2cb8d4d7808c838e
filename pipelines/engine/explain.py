"""Reasons of a plan: why each pending row is to be run, which stages run again, and how long they took before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from pipelines.engine.keys import described
from pipelines.engine.ledger import Ledger
from pipelines.engine.plan import Plan
from pipelines.engine.tables import column_names
from stages.base import Stage
from stages.chain import stages_to_run
from stages.io.storage import Storage
from stages.outcome import Status

STAGES = "_jobs/stages.json"
"""Description of every stage that a job of the dataset ran, by stage key."""
_MAX_CHANGES = 4
_MAX_VALUE_CHARS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A stage whose key differs from that of older rows. `changes`: empty if only stages that it reads from changed."""

    stage: str
    num_rows: int
    changes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reasons:
    """Number of pending rows by reason, and what runs.

    `seconds_by_stage`: mean time per row of finished rows, for stages that were run before.
    """

    new: int
    changed_inputs: Mapping[str, int]
    num_changed_inputs: int
    changed_columns: int
    """Rows with other values in columns of the user's own, which are copied: no stage runs."""
    stale: int
    failed_before: int
    changed: tuple[Changed, ...]
    run_again: tuple[str, ...]
    reused: tuple[str, ...]
    seconds_by_stage: Mapping[str, float]
    num_timed: int
    memory_mib: float | None
    """Largest recorded peak of a worker; None if none is recorded."""
    num_stored: int
    """Rows of the ledger."""


def publish_stages(storage: Storage, stages: Sequence[Stage[Any]], keys: Mapping[str, str]) -> None:
    """Add the descriptions of `stages` to those of the dataset."""
    known = _known(storage)
    here = {keys[stage.name]: _description(stage) for stage in stages}
    if not here.items() <= known.items():
        storage.publish(STAGES, json.dumps({**known, **here}, indent=1, sort_keys=True).encode())


def reasons(plan: Plan, stages: Sequence[Stage[Any]], keys: Mapping[str, str]) -> Reasons:
    """Reasons of all pending rows of `plan`, by queries over the ledger."""
    ledger = plan.ledger.relation(plan.connection)
    names = [stage.name for stage in stages]
    if not ledger:
        return _without_ledger(plan, names)
    present = column_names(plan.connection, ledger)
    same = plan.same_work("p")
    query = plan.connection.sql
    by_id = f"FROM pending p JOIN {ledger} l ON l.{plan.id_column} = p.{plan.id_column}"
    known, alike, current, failed = query(
        f"SELECT count(*), count(*) FILTER ({same}), "
        f"count(*) FILTER ({same} AND l.pipeline_key = '{plan.pipeline}'), "
        f"count(*) FILTER ({same} AND l.pipeline_key = '{plan.pipeline}' AND l.status = '{Status.FAILED}') {by_id}"
    ).fetchall()[0]
    inputs = {
        column: query(
            f"SELECT count(*) FILTER (l.{column} IS DISTINCT FROM p.{column}) {by_id} AND NOT ({same})"  # noqa: S608
        ).fetchall()[0][0]
        for column in plan.key_columns
        if column in present
    }
    older = query(
        f"SELECT e.name, e.value, count(*) FROM (SELECT unnest(l.stage_keys) AS e {by_id} AND {same} "  # noqa: S608
        f"AND l.pipeline_key != '{plan.pipeline}') GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    changed, stale_stages = _changed(older, stages, keys, _known(plan.ledger.storage))
    reusable = frozenset(names) - stale_stages - _never_run(older, names) if older else frozenset[str]()
    again = tuple(stage.name for stage in stages_to_run(stages, reusable))
    seconds, num_timed = _seconds(plan, ledger)
    return Reasons(
        new=plan.num_pending - known,
        changed_inputs={name: count for name, count in inputs.items() if count},
        num_changed_inputs=known - alike,
        changed_columns=current - failed,
        stale=alike - current,
        failed_before=failed,
        changed=changed,
        run_again=again,
        reused=tuple(name for name in names if name not in again),
        seconds_by_stage=seconds,
        num_timed=num_timed,
        memory_mib=query(f"SELECT max(worker_memory_mib) FROM {ledger}").fetchall()[0][0]  # noqa: S608
        if "worker_memory_mib" in present
        else None,
        num_stored=query(f"SELECT count(*) FROM {ledger}").fetchall()[0][0],  # noqa: S608
    )


def recorded_settings(ledger: Ledger, connection: duckdb.DuckDBPyConnection) -> dict[str, list[Mapping[str, Any]]]:
    """Settings with which the stages of committed rows ran, by stage name; without those of unrecorded stage keys."""
    relation, known = ledger.relation(connection), _known(ledger.storage)
    if not relation or not known:
        return {}
    query = f"SELECT DISTINCT e.name, e.value FROM (SELECT unnest(stage_keys) AS e FROM {relation})"  # noqa: S608
    settings: dict[str, list[Mapping[str, Any]]] = {}
    for name, key in connection.execute(query).fetchall():
        if key in known:
            settings.setdefault(name, []).append(known[key])
    return settings


def _without_ledger(plan: Plan, names: Sequence[str]) -> Reasons:
    return Reasons(
        new=plan.num_pending,
        changed_inputs={},
        num_changed_inputs=0,
        changed_columns=0,
        stale=0,
        failed_before=0,
        changed=(),
        run_again=tuple(names),
        reused=(),
        seconds_by_stage={},
        num_timed=0,
        memory_mib=None,
        num_stored=0,
    )


def _never_run(older: Sequence[tuple[str, str, int]], names: Sequence[str]) -> frozenset[str]:
    return frozenset(names) - {name for name, _, _ in older}


def _changed(
    older: Sequence[tuple[str, str, int]],
    stages: Sequence[Stage[Any]],
    keys: Mapping[str, str],
    known: Mapping[str, Any],
) -> tuple[tuple[Changed, ...], frozenset[str]]:
    """Stages with other keys than older rows have, those first whose own settings changed."""
    here = {stage.name: _description(stage) for stage in stages}
    rows: dict[str, int] = {}
    changes: dict[str, list[str]] = {}
    for name, key, count in older:
        if name not in keys:
            rows[name] = rows.get(name, 0) + count
            changes.setdefault(name, []).append("left out")
        elif key != keys[name]:
            rows[name] = rows.get(name, 0) + count
            before = known.get(key)
            found = ["settings that were not recorded"] if before is None else differences(before, here[name])
            changes.setdefault(name, []).extend(found)
    listed = [
        Changed(stage=name, num_rows=count, changes=tuple(dict.fromkeys(changes[name]))) for name, count in rows.items()
    ]
    listed.sort(key=lambda one: not one.changes)
    return tuple(listed), frozenset(rows)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Settings, weights and version that differ between two descriptions of a stage, as `name: old → new`."""
    names = sorted(before.keys() | after.keys())
    different = [name for name in names if before.get(name) != after.get(name)]
    lines = [f"{name}: {_shown(before.get(name))} → {_shown(after.get(name))}" for name in different[:_MAX_CHANGES]]
    if len(different) > _MAX_CHANGES:
        lines.append(f"and {len(different) - _MAX_CHANGES} more")
    return lines


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _MAX_VALUE_CHARS else text[:_MAX_VALUE_CHARS] + "…"


def _description(stage: Stage[Any]) -> dict[str, Any]:
    """Flat description of what a stage's key depends on, apart from the stages that it reads from."""
    config = described(stage.config)
    flat: dict[str, Any] = {"code version of the stage": stage.version}
    flat |= _flat(config, "") if isinstance(config, dict) else {"settings": config}
    flat |= {f"weights of {name}": digest for name, digest in stage.weights().items()}
    return flat


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _known(storage: Storage) -> dict[str, Any]:
    if not storage.exists(STAGES):
        return {}
    try:
        known: dict[str, Any] = json.loads(storage.read(STAGES))
    except ValueError:  # cut short: only descriptions are lost
        return {}
    return known


def _seconds(plan: Plan, ledger: str) -> tuple[dict[str, float], int]:
    """Mean time per stage of the rows that ran it, without loading, and the number of timed rows."""
    timed = plan.connection.sql(
        f"SELECT e.name, avg(e.value), count(*) FROM (SELECT unnest(seconds_by_stage) AS e FROM {ledger}) "  # noqa: S608
        "WHERE NOT e.name LIKE '%.load' GROUP BY 1"
    ).fetchall()
    return {name: seconds for name, seconds, _ in timed}, max((count for *_, count in timed), default=0)
