"""Runner of pipelines: rounds of rows through fused actors on Ray Data, each row ending with an outcome."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.engine.plan import Plan
from pipelines.engine.steps import Group, Step, Workers, fuse
from pipelines.engine.worker import ROW_SCHEMA, Worker, WorkerSpec, pack
from stages.base import Row
from stages.outcome import Reason, Status

if TYPE_CHECKING:
    import ray.data

# Functions import Ray when called: it takes two seconds, and a job without rows to run does not need it.

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLimits:
    """Limits of a job.

    Args:
        max_failed: maximum number of failed rows (rejected rows do not count) before the job stops; None: unlimited.
        rows_per_block: rows per Ray Data block; a block should take about a second or more.
        rows_per_round: rows planned, run and compacted together. Bounds the driver's memory.
        row_timeout_seconds: maximum time per row; beyond it, the worker exits and the row fails with `Timeout`.
        wait_for_resources_seconds: maximum wait for nodes of a cluster that has no room for the workers yet.
        crash_retries: extra attempts, alone in its block, of a row whose worker died, before it fails with `Crash`.
    """

    max_failed: int | None = None
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


@dataclass(kw_only=True, slots=True)
class Tally:
    """Counts of one run, for progress and throughput. Final counts are read back from the ledger."""

    rows: int = 0
    failed: int = 0
    seconds_by_stage: dict[str, float] = field(default_factory=dict)
    first_failures: list[str] = field(default_factory=list)


class TooManyFailuresError(RuntimeError):
    """More rows failed than the job allows. Finished rows are committed; the rest is pending."""


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
    affects no other. Rows lost again are committed as failed. Requires an initialised Ray and the dataset's lock.
    `tally` is updated during the run.

    Raises:
        TooManyFailuresError: more than `limits.max_failed` rows failed.
        OutputError: a row could not be written.
        RayStoppedError: workers could not start, or the cluster is unreachable.
    """
    tally = tally if tally is not None else Tally()
    for start in range(0, plan.num_pending, limits.rows_per_round):
        rows = plan.rows(start, limits.rows_per_round)
        try:
            try:
                _run_round(rows, steps, spec, limits, tally, on_progress)
            finally:
                spec.ledger.compact()
        except OSError as error:
            raise _output_error(spec, str(error)) from error
    return tally


def _run_round(
    rows: list[Row],
    steps: Sequence[Step],
    spec: WorkerSpec,
    limits: RunLimits,
    tally: Tally,
    on_progress: Callable[[Tally], None],
) -> None:
    id_column = spec.ledger.id_column
    rows = [{**row, "attempts": row["attempts"] + 1} for row in rows]
    for attempt in range(limits.crash_retries + 1):
        returned = _execute(rows, steps, spec, limits, tally, on_progress, isolated=attempt > 0)
        rows = [row for row in rows if row[id_column] not in returned and not _count_committed(row, spec, tally)]
        _stop_if_too_many(tally, limits)
        if not rows:
            return
        log.warning("%d rows did not come back: their worker died (attempt %d)", len(rows), attempt + 1)
        if attempt < limits.crash_retries:
            rows = [{**row, "attempts": row["attempts"] + 1} for row in rows]
    for row in rows:
        message = f"the worker died each time this row ran ({row['attempts']} attempts); its log has the cause"
        spec.ledger.commit(spec.fail(row, Reason.CRASH, message, "worker"), spec.schema)
        _count(
            tally, {"id": row[id_column], "status": "failed", "reason": "Crash", "message": message, "seconds": "{}"}
        )
        _stop_if_too_many(tally, limits)


def _execute(
    rows: Sequence[Row],
    steps: Sequence[Step],
    spec: WorkerSpec,
    limits: RunLimits,
    tally: Tally,
    on_progress: Callable[[Tally], None],
    *,
    isolated: bool,
) -> set[str]:
    """Run rows in one Ray Data execution; returns the ids of those with a result.

    With `isolated`, no row shares a block or the queue of a worker.
    """
    import ray.data

    rows_per_block = 1 if isolated else limits.rows_per_block
    tables = [
        pa.table(
            {"row": pa.array([pack(row) for row in rows[i : i + rows_per_block]], pa.large_binary())}, schema=ROW_SCHEMA
        )
        for i in range(0, len(rows), rows_per_block)
    ]
    dataset = ray.data.from_arrow(tables)
    groups = fuse(steps)
    for group in groups:
        last = group is groups[-1]
        pool = _pool(group.workers, len(tables), len(groups))
        if isolated:
            # A task queued at a worker fails with it, which would use up its only retry.
            pool["max_tasks_in_flight_per_actor"] = 1
        dataset = _map(dataset, spec, group, num_groups=len(groups), last=last, pool=pool)
    returned: set[str] = set()
    try:
        for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for result in batch.to_pylist():
                if result["commit_error"]:
                    raise _output_error(spec, result["commit_error"])
                returned.add(result["id"])
                _count(tally, result)
            on_progress(tally)
            _stop_if_too_many(tally, limits)
    except ray.exceptions.RayError as error:
        cause = str(error).strip().rsplit("\n", 1)[-1]
        raise RayStoppedError(f"Ray stopped the job: {cause}") from error
    return returned


def _map(
    dataset: ray.data.Dataset, spec: WorkerSpec, group: Group, *, num_groups: int, last: bool, pool: dict[str, int]
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
            # Rows with frames get a block each: several would exceed the share of the object store.
            batch_size=None if num_groups == 1 else 1,
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


def _count(tally: Tally, result: dict[str, Any]) -> None:
    tally.rows += 1
    for stage, seconds in json.loads(result["seconds"]).items():
        tally.seconds_by_stage[stage] = tally.seconds_by_stage.get(stage, 0.0) + seconds
    if result["status"] == Status.FAILED:
        tally.failed += 1
        if len(tally.first_failures) < 5:
            last_line = (result["message"] or "").strip().rsplit("\n", 1)[-1]
            tally.first_failures.append(f"{result['id']}: {result['reason']}: {last_line}")


def _count_committed(row: Row, spec: WorkerSpec, tally: Tally) -> bool:
    """Count a row without a result that its worker committed before it exited. Returns False if there is none."""
    done = spec.ledger.committed(row["work_key"])
    if done is None:
        return False
    seconds = json.dumps(done["seconds_by_stage"] or {})
    _count(tally, {"id": row[spec.ledger.id_column], **{k: done[k] for k in _OUTCOME}, "seconds": seconds})
    return True


_OUTCOME = ("status", "reason", "message")


def _stop_if_too_many(tally: Tally, limits: RunLimits) -> None:
    if limits.max_failed is not None and tally.failed > limits.max_failed:
        raise TooManyFailuresError(
            f"{tally.failed} rows failed, --max-failed allows {limits.max_failed}; the first: "
            + "; ".join(tally.first_failures)
        )


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
