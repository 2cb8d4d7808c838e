"""Comparison of what workers ask for with the nodes of a running cluster of 2 CPUs and no GPU."""

from __future__ import annotations

import time
from typing import Any

import pytest
import toy

from pipelines.engine.resources import Demand, MissingResourcesError, await_resources, demands_of
from pipelines.engine.steps import Step, Workers, fuse

pytestmark = pytest.mark.usefixtures("ray_cluster")


def wait(demands: list[Demand], *, may_grow: bool = False, limit_seconds: float = 0.5) -> list[str]:
    lines: list[str] = []
    await_resources(demands, may_grow=may_grow, limit_seconds=limit_seconds, limit="limits.wait", report=lines.append)
    return lines


def demand(setting: str, cpus: float, **changes: Any) -> Demand:
    return Demand(workers=f"the step {setting}", setting=f"workers.{setting}", cpus=cpus, **changes)


def test_what_fits_passes_in_silence() -> None:
    assert wait([demand("decode", 1), demand("pose", 0.5), demand("depth", 0.5)]) == []
    assert wait([demand("decode", 0.1, count=20)]) == []


def test_what_no_node_has_is_an_error_that_names_step_asked_had_and_setting() -> None:
    with pytest.raises(MissingResourcesError) as raised:
        wait([demand("decode", 1), demand("pose", 1, gpus=1)])
    assert str(raised.value) == (
        "the step pose (1 CPU, 1 GPU, workers.pose) need more than there is: 2 CPU, 0 GPU; lower workers.pose.gpus, "
        "or add nodes (--ray-address joins a cluster)"
    )
    with pytest.raises(MissingResourcesError, match=r"10000.0 GiB memory.*lower workers.pose.memory_gib,"):
        wait([demand("pose", 1, memory_gib=10_000)])


def test_workers_that_fit_alone_but_not_together_would_wait_for_one_another() -> None:
    with pytest.raises(
        MissingResourcesError, match=r"the step pose.*at the same time.*2 CPU; lower workers.decode.cpus"
    ):
        wait([demand("decode", 1), demand("pose", 1.5)])
    with pytest.raises(MissingResourcesError, match=r"3 × 1 CPU.*at the same time"):
        wait([demand("decode", 1, count=3)])


def test_a_cluster_that_may_grow_is_waited_for_up_to_the_limit() -> None:
    lines: list[str] = []
    began = time.monotonic()
    with pytest.raises(MissingResourcesError, match=r"no nodes came within 1 s \(limits.wait\): the step pose"):
        await_resources(
            [demand("pose", 1, gpus=1)], may_grow=True, limit_seconds=1, limit="limits.wait", report=lines.append
        )
    assert time.monotonic() - began >= 1
    assert len(lines) == 1
    assert lines[0].startswith("waiting up to 1 s (limits.wait) for nodes: the step pose (1 CPU, 1 GPU, workers.pose)")


def test_each_group_of_a_pipeline_asks_for_one_worker() -> None:
    steps = toy.steps()
    steps[1] = Step(stage=steps[1].stage, workers=Workers(gpus=0.5, memory_gib=2))
    assert demands_of(fuse(steps), {"sum"}) == [
        Demand(workers="the step decode", setting="workers.default", cpus=0.5),
        Demand(workers="the step sum", setting="workers.sum", cpus=1, gpus=0.5, memory_gib=2),
        Demand(workers="the step select", setting="workers.default", cpus=0.5),
    ]
    assert demands_of(fuse(toy.steps()), ())[0].workers == "the steps decode, sum, select"
