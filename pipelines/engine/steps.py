"""A pipeline is a list of steps; steps that want the same kind of worker share one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from stages.backends.base import BackendConfig
from stages.base import Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """What one worker of a step takes, and how many there are at most.

    `actors` 0 means as many as the cluster has room for when the job starts. `gpus` below 1 should be 1/n, so that n
    workers fill a device.
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
    """A stage's settings for these workers: one that was given no GPU may still see those of others."""
    if isinstance(config, BackendConfig) and config.device == "auto" and not workers.gpus:
        return replace(config, device="cpu")
    return config


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A stage and the workers it runs in."""

    stage: Stage[Any]
    workers: Workers = field(default_factory=Workers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Neighbouring stages that share workers."""

    stages: Sequence[Stage[Any]]
    workers: Workers


def fuse(steps: Sequence[Step]) -> list[Group]:
    """Neighbouring steps with equal workers, as one group: frames stay in the process that decoded them."""
    return [
        Group(stages=[step.stage for step in group], workers=workers)
        for workers, group in groupby(steps, key=lambda step: step.workers)
    ]


def check(steps: Sequence[Step], manifest_columns: Iterable[str]) -> None:
    """Check the list before anything starts.

    Raises:
        ValueError: a stage reads a column that nothing before it provides, or two stages share a name or a column.
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
        if twice := sorted(stage.writes & available):
            raise ValueError(f"stage '{stage.name}' writes {twice}, which are there already")
        names.add(stage.name)
        available |= stage.writes
