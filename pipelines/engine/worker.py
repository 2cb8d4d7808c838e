"""What runs inside a Ray actor: some neighbouring stages, and at the end of the pipeline the commit."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import pickle
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from pipelines.engine.ledger import Ledger
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
    """What every worker of a job is told.

    `stages` is the whole pipeline, in order: which of them a row needs depends on all of them.
    """

    stages: Sequence[Stage[Any]]
    keys: Mapping[str, str]
    pipeline_key: str
    ledger: Ledger
    schema: pa.Schema
    provenance: Mapping[str, Any]
    row_timeout_seconds: float

    def finish(self, row: Row) -> Row:
        """The row as it is committed: without what lives in memory only, with its provenance."""
        transient = frozenset().union(*(stage.transient for stage in self.stages))
        kept = {name: value for name, value in row.items() if name not in transient}
        return {**kept, **self.provenance, "pipeline_key": self.pipeline_key, "committed_at": datetime.now(UTC)}

    def fail(self, row: Row, reason: Reason, message: str, stage: str) -> Row:
        """The row as a committed failure."""
        return self.finish({**row, **outcome(Status.FAILED, stage, reason, message)})


def pack(row: Row) -> bytes:
    """A row as it crosses between workers: pickled, so that frames stay one uint8 copy and no type is guessed."""
    return pickle.dumps(row, protocol=5)


class Worker:
    """The stages `names` of a pipeline over blocks of packed rows. A plain callable; Ray only calls it."""

    def __init__(self, spec: WorkerSpec, names: Sequence[str], *, last: bool, threads: int) -> None:
        self.spec = spec
        self.stages = [stage for stage in spec.stages if stage.name in names]
        self.last = last
        for stage in self.stages:
            stage.open()
            # Child processes and fetched files go when the worker ends in order; the kernel sees to the rest.
            atexit.register(stage.close)
        _limit_threads(threads)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Results of the block's rows, or, before the last group of stages, the rows to hand on."""
        rows = (pickle.loads(packed.as_py()) for packed in block.column("row"))  # noqa: S301  our own rows
        # Row by row to the end: one clip's frames in memory, and what is done is committed before the next row begins.
        if not self.last:
            return pa.Table.from_pylist([{"row": pack(self._process(row))} for row in rows], schema=ROW_SCHEMA)
        return pa.Table.from_pylist([self._commit(self._process(row)) for row in rows], schema=RESULT_SCHEMA)

    def _process(self, row: Row) -> Row:
        if row.get("status", Status.OK) != Status.OK or row.get("_committed") or row.get("_refused"):
            return row
        finished = self.spec.ledger.committed(row["work_key"])
        if finished is not None:
            # By a worker that died later in this block, or ended itself because of this row.
            return {**finished, "_committed": True}
        with self._watchdog(row):
            if "_reusable" not in row:
                row["_reusable"] = self._reuse(row)
            wanted = {stage.name for stage in stages_to_run(self.spec.stages, row["_reusable"])}
            stages = [stage for stage in self.stages if stage.name in wanted]
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
        # A stage's file or the row itself: what the storage refuses stops the job.
        commit_error = row.pop("_refused", None)
        if not row.pop("_committed", False) and commit_error is None:
            try:
                self.spec.ledger.commit(self.spec.finish(row), self.spec.schema)
            except OSError as error:
                # The storage refuses: no row can be recorded, so the driver stops the job. Nothing is lost: this row is
                # not committed and will run again.
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

    @contextlib.contextmanager
    def _watchdog(self, row: Row) -> Iterator[None]:
        """End this process if the row takes too long: a hung native call cannot be interrupted any other way."""
        limit = self.spec.row_timeout_seconds

        def give_up() -> None:
            message = f"the row took longer than {limit:g} s; raise limits.row_timeout_seconds if it needs them"
            try:
                self.spec.ledger.commit(
                    self.spec.fail(row, Reason.TIMEOUT, message, self.stages[0].name), self.spec.schema
                )
            finally:
                os._exit(1)

        timer = threading.Timer(limit, give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _limit_threads(threads: int) -> None:
    """One actor per core with one thread each beats one pool of threads: two threads made small models 50 times slower.

    Only libraries that the stages have loaded are told: importing torch takes longer than many a row.
    """
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
