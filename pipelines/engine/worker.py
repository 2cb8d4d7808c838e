"""Worker in a Ray actor: a group of consecutive stages and, after the last group, the commit."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import pickle
import resource
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from pipelines.engine.ledger import Ledger
from pipelines.engine.watchdog import Watchdog
from stages.base import Row, Stage
from stages.chain import outcome, reuse, run_row, stages_to_run
from stages.outcome import OutputRefusedError, Reason, Status

ROW_SCHEMA = pa.schema([("row", pa.large_binary())])
RESULT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("status", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("seconds", pa.string()),
        ("commit_error", pa.string()),
    ]
)
DEFERRABLE = "_deferrable"
"""Column of the rows of a large block that a worker may give back, unless the block's rows are fast."""
BLOCK_SECONDS = 10.0
"""Time after which a worker gives deferrable rows back."""
GROUP_SECONDS = 1.0
GROUP_ROWS = 1024
"""Bounds of a group of rows that is committed at once: a row that takes longer is committed on its own."""


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """Settings shared by all workers of a job.

    `stages` is the whole pipeline, in order: the stages a row needs depend on all of them.
    """

    stages: Sequence[Stage[Any]]
    keys: Mapping[str, str]
    pipeline_key: str
    ledger: Ledger
    schema: pa.Schema
    provenance: Mapping[str, Any]
    row_timeout_seconds: float

    def finish(self, row: Row) -> Row:
        """The row to commit: without transient columns, with provenance."""
        transient = frozenset().union(*(stage.transient for stage in self.stages))
        kept = {name: value for name, value in row.items() if name not in transient}
        return {**kept, **self.provenance, "pipeline_key": self.pipeline_key, "committed_at": datetime.now(UTC)}

    def fail(self, row: Row, reason: Reason, message: str, stage: str) -> Row:
        """The row as a committed failure."""
        return self.finish({**row, **outcome(Status.FAILED, stage, reason, message)})


def pack(row: Row) -> bytes:
    """Pickled row, for transport between workers. Preserves types and stores frames as one uint8 buffer."""
    return pickle.dumps(row, protocol=5)


class Worker:
    """Callable that applies the stages `names` of a pipeline to blocks of packed rows."""

    def __init__(self, spec: WorkerSpec, names: Sequence[str], *, last: bool, threads: int) -> None:
        self.spec = spec
        self.stages = [stage for stage in spec.stages if stage.name in names]
        self.last = last
        for stage in self.stages:
            stage.open()
            # Ends child processes and deletes fetched files on a regular exit of the worker.
            atexit.register(stage.close)
        self._watchdog = Watchdog(spec.ledger, spec.schema, stopped_seconds=spec.row_timeout_seconds)
        atexit.register(self._watchdog.close)
        _limit_threads(threads)

    def __call__(self, block: pa.Table) -> Iterator[pa.Table]:
        """Results of a block of rows (`RESULT_SCHEMA`); before the last group of stages, packed rows (`ROW_SCHEMA`).

        Rows are taken one by one, so that one clip's frames are in memory. A row is committed before it is returned.
        """
        started = time.monotonic()
        group: list[Row] = []
        group_started = started
        for packed in block.column("row"):
            row: Row = pickle.loads(packed.as_py())  # noqa: S301  our own rows
            if row.get(DEFERRABLE) and time.monotonic() - started > BLOCK_SECONDS:
                row = {**row, "_deferred": True}
            else:
                row = self._process(row)
            if not self.last and row.get("status") == Status.OK:
                yield self._returned([row])
                continue
            group.append(self._without_frames(row))
            if time.monotonic() - group_started > GROUP_SECONDS or len(group) >= GROUP_ROWS:
                yield self._finish(group)
                group, group_started = [], time.monotonic()
        if group:
            yield self._finish(group)

    def _finish(self, group: list[Row]) -> pa.Table:
        """Commit rows that end here, and return them."""
        commit_rows(self.spec, [row for row in group if not row.keys() & _NOT_TO_COMMIT])
        return self._returned(group)

    def _returned(self, rows: Sequence[Row]) -> pa.Table:
        if not self.last:
            return pa.Table.from_pylist([{"row": pack(row)} for row in rows], schema=ROW_SCHEMA)
        return pa.Table.from_pylist([self._result(row) for row in rows], schema=RESULT_SCHEMA)

    def _process(self, row: Row) -> Row:
        if row.get("status", Status.OK) != Status.OK or row.keys() & _NOT_TO_COMMIT:
            return row
        finished = self.spec.ledger.committed(row["work_key"])
        if finished is not None:
            # Committed by a worker that died later in this block, or that exited because of this row.
            return {**finished, "_committed": True}
        with self._limit(row):
            if "_reusable" not in row:
                row["_reusable"] = self._reuse(row)
            names = {stage.name for stage in stages_to_run(self.spec.stages, row["_reusable"])}
            stages = [stage for stage in self.stages if stage.name in names]
            try:
                done = run_row(row, stages, self.spec.keys, row["_reusable"])
                done["worker_memory_mib"] = max(row.get("worker_memory_mib", 0.0), _peak_memory_mib())
            except OutputRefusedError as refused:
                return {**self._without_frames(row), "_refused": str(refused)}
        if not self.last and done["status"] != Status.OK:
            return self._without_frames(done)
        return done

    def _reuse(self, row: Row) -> frozenset[str]:
        previous_file = row.pop("previous_file", None)
        if not previous_file:
            return frozenset()
        ledger = self.spec.ledger
        previous = ledger.read_row(str(previous_file).rsplit("/", 1)[-1], row[ledger.id_column])
        return reuse(row, previous, self.spec.stages, self.spec.keys) if previous else frozenset()

    def _without_frames(self, row: Row) -> Row:
        transient = frozenset().union(*(stage.transient for stage in self.spec.stages))
        return {name: value for name, value in row.items() if name not in transient}

    def _result(self, row: Row) -> dict[str, Any]:
        deferred = row.get("_deferred", False)
        return {
            "id": row[self.spec.ledger.id_column],
            "status": None if deferred else row.get("status"),
            "stage": row.get("stage"),
            "reason": row.get("reason"),
            "message": row.get("message"),
            "seconds": json.dumps(row.get("seconds_by_stage") or {}),
            # Refusal of the file of a stage or of the row itself stops the job.
            "commit_error": row.get("_refused"),
        }

    def _limit(self, row: Row) -> contextlib.AbstractContextManager[None]:
        """Time limit of the row. Beyond it, the row is committed as failed and this process killed."""
        limit = self.spec.row_timeout_seconds
        message = f"the row took longer than {limit:g} s; raise limits.row_timeout_seconds if it needs them"
        return self._watchdog.limit(limit, self.spec.fail(row, Reason.TIMEOUT, message, self.stages[0].name))


_NOT_TO_COMMIT = frozenset({"_committed", "_refused", "_deferred"})


def commit_rows(spec: WorkerSpec, rows: Sequence[Row]) -> None:
    """Commit rows with an outcome, as one part; each is marked as committed, or as refused by the storage.

    A row whose values do not fit their columns becomes a failure, and affects no other row.
    """
    if not rows:
        return
    try:
        finished = [spec.finish(row) for row in rows]
        if len(rows) == 1:
            spec.ledger.commit(finished[0], spec.schema)
        else:
            spec.ledger.commit_group(finished, spec.schema)
    except OSError as error:
        # No row can be recorded, so the driver stops the job. These rows are not committed and will run again.
        refused = f"{errno.errorcode.get(error.errno or 0, 'OSError')}: {error}"
        for row in rows:
            row["_refused"] = refused
    except TypeError:
        if len(rows) > 1:
            for row in rows:
                commit_rows(spec, [row])
            return
        written = frozenset().union(*(stage.writes for stage in spec.stages))
        (row,) = rows
        for name in row.keys() & written:
            del row[name]
        row["stage_keys"] = {}
        row |= outcome(Status.FAILED, "commit", Reason.UNEXPECTED_ERROR, traceback.format_exc())
        spec.ledger.commit(spec.finish(row), spec.schema)
        row["_committed"] = True
    else:
        for row in rows:
            row["_committed"] = True


def _peak_memory_mib() -> float:
    """Largest amount of memory that this process has had."""
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _limit_threads(threads: int) -> None:
    """Limit the threads of OpenCV and torch, if they are loaded; importing torch takes longer than many rows.

    One actor per core with one thread outperforms shared threads: two threads slowed small models down 50 times.
    """
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
