"""Which workers `prepare` gives to published networks, and what it says before they run slowly."""

from __future__ import annotations

from typing import Any

import pytest

from jobs import config as configuration
from jobs import prepare as job
from jobs.spec import Options
from pipelines.prepare import STAGES

LOCAL = Options(max_failed=None)
ON_GPU = ["pose", "depth", "structured_depth", "character_mask", "object_masks"]


def workers_and_notices(*assignments: str, options: Options = LOCAL) -> tuple[dict[str, Any], list[str]]:
    config = configuration.load(None, assignments)
    workers = job.workers_of(config, options)
    return workers, job._notices(config, workers)


def on_gpu(workers: dict[str, Any]) -> list[str]:
    return [name for name in STAGES if workers[name].gpus]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(job, "_has_gpu", lambda: True)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])


@pytest.mark.usefixtures("gpu")
def test_published_networks_get_the_gpu_of_this_machine() -> None:
    workers, notices = workers_and_notices("prepare.preset=dwpose-sam2")
    assert on_gpu(workers) == ON_GPU
    assert workers["decode"].gpus == workers["quality"].gpus == 0
    assert notices == []
    # What lies between two of them stays in the same worker.
    with_features = ("prepare.vae_latents.enabled=true", "prepare.vae_latents.backend=sd-vae")
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", *with_features)[0]) == list(STAGES)[1:]


@pytest.mark.usefixtures("gpu")
def test_what_a_person_says_counts() -> None:
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", "workers.pose.gpus=0.5")[0]) == ["pose"]
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", "workers.default.cpus=2")[0]) == []
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", "prepare.device=cpu")[0]) == []
    assert on_gpu(workers_and_notices("prepare.preset=embedded")[0]) == []
    cluster = Options(ray_address="auto")
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", options=cluster)[0]) == []


def test_networks_without_a_gpu_are_said_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_has_gpu", lambda: False)
    _, (notice,) = workers_and_notices("prepare.preset=sapiens2-depthanything-sam2")
    assert notice.startswith("NO GPU for pose, depth, character_mask, object_masks: ")
    assert "workers: {pose: {gpus: 1}}" in notice
    assert workers_and_notices("prepare.preset=dwpose-sam2", "prepare.device=cpu")[1] == []
    assert "know drawn puppets only" in workers_and_notices()[1][0]


@pytest.mark.usefixtures("gpu")
def test_an_onnxruntime_without_cuda_is_said_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    (notice,) = workers_and_notices("prepare.preset=dwpose-sam2")[1]
    assert notice.startswith("DWPOSE WOULD RUN ON THE CPU")
    assert "onnxruntime-gpu" in notice
    assert workers_and_notices("prepare.depth.backend=depth-anything")[1][1:] == []
