"""Steps of a pipeline, their workers, and the fusion of steps that share workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from stages.backends.base import BackendConfig
from stages.base import Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """Resources of the workers of a step.

    Args:
        actors: maximum number of workers; 0: as many as fit the cluster when the job starts.
        cpus: CPUs per worker.
        gpus: GPUs per worker; below 1, a fraction 1/n.
        memory_gib: memory per worker, in GiB; 0: not reserved.
        threads: threads per worker of OpenCV and of torch.
    """

    actors: int = 0
    cpus: float = 1.0
    gpus: float = 0.0
    memory_gib: float = 0.0
    threads: int = 1

    def __post_init__(self) -> None:
        if self.actors < 0 or self.cpus <= 0 or self.gpus < 0 or self.memory_gib < 0 or self.threads < 1:
            raise ValueError(f"workers need cpus > 0, threads >= 1 and nothing negative, got {self}")
        if 0 < self.gpus < 1 and abs(1 / self.gpus - round(1 / self.gpus)) > 1e-6:
            raise ValueError(f"a fraction of a GPU must be 1/n (0.5, 0.25, …), got {self.gpus}")


def on_workers(config: Any, workers: Workers) -> Any:
    """Settings of a stage with `device` resolved to CPU on workers without a GPU, which may still see one."""
    if isinstance(config, BackendConfig) and config.device == "auto" and not workers.gpus:
        return replace(config, device="cpu")
    return config


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A stage and its workers."""

    stage: Stage[Any]
    workers: Workers = field(default_factory=Workers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Consecutive stages that share workers."""

    stages: Sequence[Stage[Any]]
    workers: Workers


def fuse(steps: Sequence[Step]) -> list[Group]:
    """Group consecutive steps with equal workers, so that frames stay in the process that decoded them."""
    return [
        Group(stages=[step.stage for step in group], workers=workers)
        for workers, group in groupby(steps, key=lambda step: step.workers)
    ]


def check(steps: Sequence[Step], manifest_columns: Iterable[str]) -> None:
    """Validate the columns and names of a pipeline.

    Raises:
        ValueError: a stage reads a column that neither the manifest nor an earlier stage provides, or two stages share
            a name or a column.
    """
    available = set(manifest_columns)
    names: set[str] = set()
    for step in steps:
        stage = step.stage
        if missing := sorted(stage.reads - available):
            raise ValueError(
                f"stage '{stage.name}' reads {missing}, which neither the manifest nor an earlier stage provides; "
                f"there are {sorted(available)}"
            )
        if stage.name in names:
            raise ValueError(f"two stages are named '{stage.name}'")
        if repeated := sorted(stage.writes & available):
            raise ValueError(f"stage '{stage.name}' writes {repeated}, which exist already")
        names.add(stage.name)
        available |= stage.writes
