"""Worker in a Ray actor: a group of consecutive stages and, after the last group, the commit."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import pickle
import sys
from collections.abc import Mapping, Sequence
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
        self._watchdog = Watchdog(spec.ledger, spec.schema)
        atexit.register(self._watchdog.close)
        _limit_threads(threads)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Results of a block of rows (`RESULT_SCHEMA`); before the last group of stages, packed rows (`ROW_SCHEMA`)."""
        rows = (pickle.loads(packed.as_py()) for packed in block.column("row"))  # noqa: S301  our own rows
        # Row by row: only one clip's frames are in memory, and each row is committed before the next one starts.
        if not self.last:
            return pa.Table.from_pylist([{"row": pack(self._process(row))} for row in rows], schema=ROW_SCHEMA)
        return pa.Table.from_pylist([self._commit(self._process(row)) for row in rows], schema=RESULT_SCHEMA)

    def _process(self, row: Row) -> Row:
        if row.get("status", Status.OK) != Status.OK or row.get("_committed") or row.get("_refused"):
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

    def _commit(self, row: Row) -> dict[str, Any]:
        # Refusal of the file of a stage or of the row itself stops the job.
        commit_error = row.pop("_refused", None)
        if not row.pop("_committed", False) and commit_error is None:
            try:
                self.spec.ledger.commit(self.spec.finish(row), self.spec.schema)
            except OSError as error:
                # No row can be recorded, so the driver stops the job. This row is not committed and will run again.
                commit_error = f"{errno.errorcode.get(error.errno or 0, 'OSError')}: {error}"
        return {
            "id": row[self.spec.ledger.id_column],
            "status": row.get("status"),
            "stage": row.get("stage"),
            "reason": row.get("reason"),
            "message": row.get("message"),
            "seconds": json.dumps(row.get("seconds_by_stage") or {}),
            "commit_error": commit_error,
        }

    def _limit(self, row: Row) -> contextlib.AbstractContextManager[None]:
        """Time limit of the row. Beyond it, the row is committed as failed and this process killed."""
        limit = self.spec.row_timeout_seconds
        message = f"the row took longer than {limit:g} s; raise limits.row_timeout_seconds if it needs them"
        return self._watchdog.limit(limit, self.spec.fail(row, Reason.TIMEOUT, message, self.stages[0].name))


def _limit_threads(threads: int) -> None:
    """Limit the threads of OpenCV and torch, if they are loaded; importing torch takes longer than many rows.

    One actor per core with one thread outperforms shared threads: two threads slowed small models down 50 times.
    """
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
