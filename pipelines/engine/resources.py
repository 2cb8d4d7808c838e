"""Comparison of the resources that workers ask for with those of the connected cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pipelines.engine.steps import Group

_POLL_SECONDS = 1.0
_EPSILON = 1e-6
_SETTINGS = {"CPU": "cpus", "GPU": "gpus", "memory": "memory_gib"}

Resources = Mapping[str, float]
"""Amounts by Ray's names: CPU, GPU, memory (bytes)."""


class MissingResourcesError(RuntimeError):
    """The cluster cannot run all workers of the job at once. No row was run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """Workers that must run at the same time as those of all other demands of the job.

    Args:
        workers: what they do, such as `the step pose`.
        setting: section of the settings with their resources, such as `workers.pose`.
        count: number of workers.
    """

    workers: str
    setting: str
    cpus: float
    gpus: float = 0.0
    memory_gib: float = 0.0
    count: int = 1

    @property
    def resources(self) -> Resources:
        """Resources of one worker."""
        amounts = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory_gib * 2**30}
        return {name: amount for name, amount in amounts.items() if amount}

    def __str__(self) -> str:
        number = f"{self.count} × " if self.count > 1 else ""
        return f"{self.workers} ({number}{_amounts(self.resources)}, {self.setting})"


def demands_of(groups: Sequence[Group], configured: Collection[str]) -> list[Demand]:
    """One worker per group: rows pass through all groups, so that a job with fewer stands still.

    Args:
        configured: stages with a section of their own in the job file's `workers`.
    """
    demands = []
    for group in groups:
        names = [stage.name for stage in group.stages]
        own = next((name for name in names if name in configured), "default")
        workers = group.workers
        demands.append(
            Demand(
                workers=f"the step{'s' if len(names) > 1 else ''} {', '.join(names)}",
                setting=f"workers.{own}",
                cpus=workers.cpus,
                gpus=workers.gpus,
                memory_gib=workers.memory_gib,
            )
        )
    return demands


def await_resources(
    demands: Sequence[Demand], *, may_grow: bool, limit_seconds: float, limit: str, report: Callable[[str], None]
) -> None:
    """Return once the cluster can run the workers of all `demands` at the same time. Requires an initialised Ray.

    Args:
        may_grow: whether nodes can be added. The autoscaler, if there is one, is asked for them.
        limit_seconds: maximum wait; `limit` is the name of the setting.
        report: called with one line if there is something to wait for.

    Raises:
        MissingResourcesError: the cluster does not have the resources, and cannot grow or did not in time.
    """
    nodes = _nodes()
    if _all_fit(demands, nodes):
        return
    if not may_grow:
        raise MissingResourcesError(_shortage(demands, nodes))
    from ray.autoscaler.sdk import request_resources  # late: a job without rows to run does without Ray

    report(f"waiting up to {limit_seconds:g} s ({limit}) for nodes: {_shortage(demands, nodes)}")
    deadline = time.monotonic() + limit_seconds
    request_resources(bundles=[dict(demand.resources) for demand in demands for _ in range(demand.count)])
    try:
        while not _all_fit(demands, nodes := _nodes()):
            if time.monotonic() > deadline:
                raise MissingResourcesError(
                    f"no nodes came within {limit_seconds:g} s ({limit}): {_shortage(demands, nodes)}"
                )
            time.sleep(_POLL_SECONDS)
    finally:
        request_resources(bundles=[])


def _nodes() -> list[Resources]:
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _all_fit(demands: Sequence[Demand], nodes: Sequence[Resources]) -> bool:
    """Whether the nodes have room for all workers at once."""
    free = [dict(node) for node in nodes]
    # Workers that few nodes have room for are placed first, and each on the node with the least of what is rare.
    for demand in sorted(demands, key=lambda d: (d.gpus, d.memory_gib, d.cpus), reverse=True):
        for _ in range(demand.count):
            free.sort(key=lambda node: tuple(node.get(name, 0.0) for name in ("GPU", "memory", "CPU")))
            node = next((node for node in free if _fits(demand, node)), None)
            if node is None:
                return False
            for name, amount in demand.resources.items():
                node[name] -= amount
    return True


def _fits(demand: Demand, node: Resources) -> bool:
    return all(node.get(name, 0.0) >= amount - _EPSILON for name, amount in demand.resources.items())


def _shortage(demands: Sequence[Demand], nodes: Sequence[Resources]) -> str:
    """Message on the workers that have no room: their resources, the nodes', and the settings to change."""
    lacking = [demand for demand in demands if not any(_fits(demand, node) for node in nodes)] or list(demands)
    asked = "; ".join(map(str, lacking))
    together = " at the same time" if sum(demand.count for demand in lacking) > 1 else ""
    names = dict.fromkeys(["CPU", *(name for demand in lacking for name in demand.resources)])
    texts = [_amounts({name: node.get(name, 0.0) for name in names}) for node in nodes]
    kinds = [f"{texts.count(text)} × {text}" if len(texts) > 1 else text for text in dict.fromkeys(texts)]
    short = [name for name in names if _total(lacking, name) > sum(node.get(name, 0.0) for node in nodes)] or list(
        names
    )
    settings = dict.fromkeys(
        f"{demand.setting}.{_SETTINGS[name]}"
        for demand in lacking
        for name in short or names
        if name in demand.resources
    )
    return (
        f"{asked} need{together} more than there is: {' and '.join(kinds) or 'no node'}; "
        f"lower {' and '.join(settings)}, or add nodes (--ray-address joins a cluster)"
    )


def _total(demands: Sequence[Demand], name: str) -> float:
    return sum(demand.resources.get(name, 0.0) * demand.count for demand in demands)


def _amounts(resources: Resources) -> str:
    return ", ".join(
        f"{amount / 2**30:.1f} GiB memory" if name == "memory" else f"{amount:g} {name}"
        for name, amount in resources.items()
    )
