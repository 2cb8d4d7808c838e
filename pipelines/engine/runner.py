"""Runner of pipelines: rounds of rows through fused actors on Ray Data, each row ending with an outcome."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.engine.blocks import fast_block_size, packed_blocks, round_sizes
from pipelines.engine.plan import Plan
from pipelines.engine.steps import Group, Step, Workers, fuse
from pipelines.engine.tally import Tally
from pipelines.engine.worker import Worker, WorkerSpec
from stages.base import Row
from stages.outcome import Reason

if TYPE_CHECKING:
    import ray.data

# Functions import Ray when called: it takes two seconds, and a job without rows to run does not need it.

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLimits:
    """Limits of a job.

    Args:
        max_failed: maximum number of failed rows (rejected rows do not count) for exit code 0; None: 10%.
        max_unexpected_in_a_row: maximum number of unexpected errors and crashes in a row before the job stops; None:
            unlimited.
        max_failed_in_a_row: maximum number of failed rows in a row before the job stops; None: unlimited.
        rows_per_block: minimum number of rows per Ray Data block. Rows that take milliseconds go in larger blocks.
        rows_per_round: rows planned, run and compacted together. Bounds the driver's memory.
        row_timeout_seconds: maximum time per row; beyond it, the worker exits and the row fails with `Timeout`.
        wait_for_resources_seconds: maximum wait for nodes of a cluster that has no room for the workers yet.
        crash_retries: extra attempts, alone in its block, of a row whose worker died, before it fails with `Crash`.
    """

    max_failed: int | None = None
    max_unexpected_in_a_row: int | None = 20
    max_failed_in_a_row: int | None = 1000
    rows_per_block: int = 4
    rows_per_round: int = 10_000
    row_timeout_seconds: float = 3600.0
    wait_for_resources_seconds: float = 900.0
    crash_retries: int = 1

    def __post_init__(self) -> None:
        if (
            min(self.rows_per_block, self.rows_per_round) < 1
            or min(self.crash_retries, self.wait_for_resources_seconds) < 0
            or self.row_timeout_seconds <= 0
        ):
            raise ValueError(f"limits must be positive, got {self}")


class RayStoppedError(RuntimeError):
    """Ray cannot continue: workers fail to start (missing weights), or the cluster is unreachable."""


class OutputError(RuntimeError):
    """The output storage refuses rows. Finished rows are committed; the rest is pending."""


def run(
    plan: Plan,
    steps: Sequence[Step],
    spec: WorkerSpec,
    limits: RunLimits,
    *,
    tally: Tally | None = None,
    on_progress: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Run every pending row of `plan` and commit its outcome.

    Rows lost with their worker in a round are run again at its end, one per block, so that a row that kills its worker
    affects no other. Rows lost again are committed as failed. The rows of a round are compacted during the next one.
    Requires an initialised Ray and the dataset's lock. `tally` is updated during the run.

    Raises:
        SystemicFaultError: more rows than allowed failed in a row.
        OutputError: a row could not be written.
        RayStoppedError: workers could not start, or the cluster is unreachable.
    """
    tally = tally if tally is not None else Tally()
    with ThreadPoolExecutor(1, thread_name_prefix="compaction") as background:
        compacted: Future[int] | None = None
        try:
            rows_per_block = limits.rows_per_block
            for start, count in round_sizes(plan.num_pending, limits.rows_per_round):
                rows = plan.rows(start, count)
                before = tally.rows, tally.seconds
                _Round(steps, spec, limits, tally, on_progress, rows_per_block).run(rows)
                if compacted is not None:
                    compacted.result()
                # Parts that workers write from now on are left alone, for retried workers to find.
                compacted = background.submit(spec.ledger.compact, spec.ledger.part_names())
                rows_per_block = fast_block_size(
                    limits.rows_per_block, tally.rows - before[0], tally.seconds - before[1]
                )
        except OSError as error:
            raise _output_error(spec, str(error)) from error
        finally:
            _compact_all(spec, compacted)
    return tally


def _compact_all(spec: WorkerSpec, running: Future[int] | None) -> None:
    try:
        if running is not None:
            running.result()
        spec.ledger.compact()
    except OSError as error:
        raise _output_error(spec, str(error)) from error


@dataclass(frozen=True, slots=True)
class _Round:
    """One round of rows."""

    steps: Sequence[Step]
    spec: WorkerSpec
    limits: RunLimits
    tally: Tally
    on_progress: Callable[[Tally], None]
    rows_per_block: int

    def run(self, rows: list[Row]) -> None:
        """Run all rows, with the retries of those that are lost with their worker."""
        rows = _next_attempt(rows)
        returned, deferred = self._execute(rows, self.rows_per_block)
        if deferred:
            again, _ = self._execute([row for row in rows if self._id(row) in deferred], self.limits.rows_per_block)
            returned |= again
        lost = self._lost(rows, returned)
        if lost:
            log.warning("%d rows did not come back: their worker died (attempt 1)", len(lost))
        # A few at a time: where every row is lost, the cause is not theirs, and the job stops.
        size = (self.limits.max_unexpected_in_a_row or len(lost)) + 1
        for start in range(0, len(lost), size):
            self._run_alone(lost[start : start + size])

    def _run_alone(self, rows: list[Row]) -> None:
        for attempt in range(self.limits.crash_retries):
            rows = _next_attempt(rows)
            returned, _ = self._execute(rows, 1, isolated=True)
            rows = self._lost(rows, returned)
            if not rows:
                return
            log.warning("%d rows did not come back: their worker died (attempt %d)", len(rows), attempt + 2)
        for row in rows:
            message = f"the worker died each time this row ran ({row['attempts']} attempts); its log has the cause"
            self.spec.ledger.commit(self.spec.fail(row, Reason.CRASH, message, "worker"), self.spec.schema)
            self._count(
                {"id": self._id(row), "status": "failed", "reason": "Crash", "message": message, "seconds": "{}"}
            )
        self._check()

    def _execute(self, rows: Sequence[Row], size: int, *, isolated: bool = False) -> tuple[set[str], set[str]]:
        """Run rows in one Ray Data execution; returns the ids of those with a result, and of those given back.

        With `isolated`, no row shares a block or the queue of a worker.
        """
        import ray.data
        import ray.exceptions

        blocks = packed_blocks(rows, size, self.limits.rows_per_block, _num_workers(self.steps))
        # `from_arrow` would first run a task per block, for its schema.
        dataset = ray.data.from_blocks(blocks)
        groups = fuse(self.steps)
        for group in groups:
            last = group is groups[-1]
            pool = _pool(group.workers, len(blocks), len(groups))
            if isolated:
                # A task queued at a worker fails with it, which would use up its only retry.
                pool["max_tasks_in_flight_per_actor"] = 1
            # Rows with frames are taken one at a time: several would exceed the share of the object store.
            batch_size = blocks[0].num_rows if group is groups[0] else 1
            dataset = _map(dataset, self.spec, group, batch_size=batch_size, last=last, pool=pool)
        returned: set[str] = set()
        deferred: set[str] = set()
        try:
            for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for result in batch.to_pylist():
                    if result["commit_error"]:
                        raise _output_error(self.spec, result["commit_error"])
                    if result["status"] is None:
                        deferred.add(result["id"])
                        continue
                    returned.add(result["id"])
                    self._count(result)
                    self._check()
                self.on_progress(self.tally)
        except ray.exceptions.RayError as error:
            cause = str(error).strip().rsplit("\n", 1)[-1]
            raise RayStoppedError(f"Ray stopped the job: {cause}") from error
        return returned, deferred

    def _lost(self, rows: Sequence[Row], returned: set[str]) -> list[Row]:
        """Rows without a result, less those that their worker committed before it died, which are counted."""
        missing = [row for row in rows if self._id(row) not in returned]
        if not missing:
            return []
        ledger = self.spec.ledger
        grouped = ledger.committed_in_groups(row["work_key"] for row in missing)
        lost = []
        for row in missing:
            done = grouped.get(row["work_key"]) or ledger.committed(row["work_key"])
            if done is None:
                lost.append(row)
                continue
            seconds = json.dumps(done["seconds_by_stage"] or {})
            self._count({"id": self._id(row), **{name: done[name] for name in _OUTCOME}, "seconds": seconds})
        self._check()
        return lost

    def _count(self, result: dict[str, Any]) -> None:
        self.tally.add(result)

    def _check(self) -> None:
        self.tally.check(
            max_failures=self.limits.max_failed_in_a_row, max_unexpected=self.limits.max_unexpected_in_a_row
        )

    def _id(self, row: Row) -> str:
        return str(row[self.spec.ledger.id_column])


_OUTCOME = ("status", "reason", "message")


def _next_attempt(rows: Sequence[Row]) -> list[Row]:
    return [{**row, "attempts": row["attempts"] + 1} for row in rows]


def _map(
    dataset: ray.data.Dataset, spec: WorkerSpec, group: Group, *, batch_size: int, last: bool, pool: dict[str, int]
) -> ray.data.Dataset:
    """Map `dataset` over the workers of one group of stages."""
    import ray.data

    with warnings.catch_warnings():
        # Ray 2.64 removes these arguments without naming a replacement; pyproject.toml requires an older version.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        return dataset.map_batches(
            Worker,
            fn_constructor_args=(spec, [stage.name for stage in group.stages]),
            fn_constructor_kwargs={"last": last, "threads": group.workers.threads},
            batch_size=batch_size,  # never None, which Ray refuses on GPUs
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ray.data.ActorPoolStrategy(**pool),
            num_cpus=group.workers.cpus,
            num_gpus=group.workers.gpus or None,
            memory=group.workers.memory_gib * 2**30 or None,
            # A dead actor is replaced and its block retried once. Unlimited retries would loop on a row that crashes.
            max_restarts=-1,
            max_task_retries=1,
        )


def _pool(workers: Workers, num_blocks: int, num_groups: int) -> dict[str, int]:
    """Size of an actor pool: initially what fits the cluster now, at most `workers.actors`. Groups share the CPUs."""
    import ray

    resources = ray.cluster_resources()
    room = resources.get("GPU", 0.0) / workers.gpus if workers.gpus else resources["CPU"] / workers.cpus / num_groups
    now = max(1, min(int(room), num_blocks))
    maximum = min(workers.actors, num_blocks) if workers.actors else now
    return {"min_size": 1, "max_size": maximum, "initial_size": min(now, maximum)}


def _num_workers(steps: Sequence[Step]) -> int:
    """Workers of the first group."""
    groups = fuse(steps)
    return _pool(groups[0].workers, sys.maxsize, len(groups))["max_size"]


def _output_error(spec: WorkerSpec, error: str) -> OutputError:
    return OutputError(
        f"cannot write to {spec.ledger.storage.url}: {error}; make room or fix its permissions, and run the same "
        "command again, which continues with the rows that are missing"
    )


def configure_ray_data() -> None:
    """Set the Ray Data options that jobs rely on."""
    import ray.data

    context = ray.data.DataContext.get_current()
    # A block whose worker died twice is dropped, and the job continues; `_run_round` handles the missing rows.
    context.max_errored_blocks = -1
    # Rows have a time limit of their own; one long row at the end must not fail the job.
    context.execution_no_progress_timeout_s = -1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
