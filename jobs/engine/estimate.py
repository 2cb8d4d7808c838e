"""Estimate of what the rest of a job takes, from finished rows: time, slowest stage, memory, disk, workers."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.engine.console import duration
from jobs.engine.spec import Job
from pipelines.engine.explain import Reasons
from pipelines.engine.steps import Group

NIGHT_SECONDS = 8 * 3600.0
UNKNOWN = "time: unknown, as no row is finished; after a run with --sample 20, a dry run estimates it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Estimate of a job's pending rows.

    Args:
        seconds_by_stage: work of one worker, by stage.
        seconds_on_this_machine: duration with the workers that fit on this machine.
        num_workers: number of these workers.
        memory_mib: peak of a worker process, without the child that decodes; None if not recorded.
        output_bytes: what the rows will add to the dataset.
        from_rows: number of finished rows that it is computed from.
    """

    seconds_by_stage: Mapping[str, float]
    seconds_on_this_machine: float
    num_workers: int
    memory_mib: float | None
    output_bytes: int
    from_rows: int

    @property
    def seconds(self) -> float:
        """Work of one worker."""
        return sum(self.seconds_by_stage.values())


def estimate(job: Job, why: Reasons, num_pending: int, stored_bytes: int) -> Estimate | None:
    """Estimate from the plan's reasons; None if no finished row has times, or nothing is pending.

    Args:
        stored_bytes: size of the dataset's files.
    """
    whole_rows = num_pending - why.stale
    seconds = {
        stage: mean * (whole_rows + (why.stale if stage in why.run_again else 0))
        for stage, mean in why.seconds_by_stage.items()
    }
    if not any(seconds.values()):
        return None
    num_workers = _workers(job)
    return Estimate(
        seconds_by_stage=seconds,
        seconds_on_this_machine=sum(seconds.values()) / num_workers,
        num_workers=num_workers,
        memory_mib=why.memory_mib,
        output_bytes=round(stored_bytes / max(why.num_stored, 1) * num_pending),
        from_rows=why.num_timed,
    )


def estimate_lines(found: Estimate) -> list[str]:
    """Time with the slowest stage, and memory and disk."""
    slowest = max(found.seconds_by_stage, key=lambda name: found.seconds_by_stage[name])
    share = found.seconds_by_stage[slowest] / found.seconds
    here = f"{duration(found.seconds_on_this_machine)} for {found.num_workers}"
    time = f"time: about {duration(found.seconds)} for one worker, {here}, from {found.from_rows} finished rows"
    memory = "" if found.memory_mib is None else f"memory: up to {size(found.memory_mib * 2**20)} a worker; "
    return [f"{time}; {slowest} takes {share:.0%}", f"{memory}disk: about {size(found.output_bytes)} to write"]


def group_lines(groups: Sequence[Group], found: Estimate | None) -> list[str]:
    """Workers of each group of stages, and how many of them finish in a night where one does not."""
    lines = []
    for group in groups:
        workers = group.workers
        amount = workers.actors or "as many as fit"
        names = ", ".join(stage.name for stage in group.stages)
        line = f"{amount} workers, {workers.cpus:g} CPU, {workers.gpus:g} GPU each: {names}"
        seconds = sum(found.seconds_by_stage.get(stage.name, 0.0) for stage in group.stages) if found else 0.0
        if seconds > NIGHT_SECONDS:
            line += f" ({math.ceil(seconds / NIGHT_SECONDS)} finish in {duration(NIGHT_SECONDS)})"
        lines.append(line)
    return lines


def size(num_bytes: float) -> str:
    """Size in the unit that suits it."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= length:
            return f"{num_bytes / length:.1f} {unit}"
    return f"{num_bytes / 1e3:.1f} kB"


def _workers(job: Job) -> int:
    """Workers of the first stages on this machine."""
    workers = job.steps[0].workers
    fit = max(1, int((os.cpu_count() or 1) / workers.cpus))
    return min(workers.actors, fit) if workers.actors else fit
