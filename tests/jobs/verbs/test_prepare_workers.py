"""Workers of `prepare` for published networks, and notices about slow devices."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.engine import config as configuration
from jobs.engine.spec import Options
from jobs.verbs import animate as animation
from jobs.verbs import prepare as job
from jobs.verbs.network_notices import network_notices
from models.systems import find_model
from pipelines.animate import STAGE_NAMES
from pipelines.prepare import STAGES, steps

LOCAL = Options(max_failed=None)
ON_GPU = ["pose", "depth", "structured_depth", "character_mask", "object_masks"]


def workers_and_notices(*assignments: str, options: Options = LOCAL) -> tuple[dict[str, Any], list[str]]:
    config = configuration.load(None, assignments)
    workers = job.workers_of(config, options)
    return workers, network_notices(job.networks_of(config), workers)


def on_gpu(workers: dict[str, Any]) -> list[str]:
    return [name for name in STAGES if workers[name].gpus]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(job, "has_gpu", lambda: True)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])


@pytest.mark.usefixtures("gpu")
def test_published_networks_get_the_gpu_of_this_machine() -> None:
    workers, notices = workers_and_notices("prepare.preset=dwpose-sam2")
    assert on_gpu(workers) == ON_GPU
    assert workers["decode"].gpus == workers["quality"].gpus == 0
    assert notices == []
    # Stages between two networks stay in the same worker.
    with_features = ("prepare.vae_latents.enabled=true", "prepare.vae_latents.backend=sd-vae")
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", *with_features)[0]) == list(STAGES)[1:]


@pytest.mark.usefixtures("gpu")
def test_explicit_workers_take_precedence() -> None:
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", "workers.pose.gpus=0.5")[0]) == ["pose"]
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", "workers.default.cpus=2")[0]) == []
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", "prepare.device=cpu")[0]) == []
    assert on_gpu(workers_and_notices("prepare.preset=puppets")[0]) == []
    cluster = Options(ray_address="auto")
    assert on_gpu(workers_and_notices("prepare.preset=dwpose-sam2", options=cluster)[0]) == []


@pytest.mark.usefixtures("gpu")
def test_poses_are_estimated_on_the_gpu_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def on_gpu(*assignments: str, model: str = "animate-anyone") -> list[str]:
        config = configuration.load(None, assignments)
        networks = animation._networks(config, {model: find_model(model)})
        return [name for name, wanted in animation._workers(config, LOCAL, networks).items() if wanted.gpus]

    first, last = (STAGE_NAMES.index(name) for name in ("driving_pose", "animate"))
    assert on_gpu() == ["animate"]
    assert on_gpu("animate.preset=dwpose-sam2") == list(STAGE_NAMES[first : last + 1])
    # Masks are of models that keep the scene.
    masks = "animate.driving_mask.backend=sam2"
    assert on_gpu(masks) == ["animate"]
    assert on_gpu(masks, model="animate-anyone-2") == list(STAGE_NAMES[STAGE_NAMES.index("driving_mask") : last + 1])
    assert on_gpu("animate.preset=dwpose-sam2", "workers.driving_pose.cpus=2") == ["animate"]
    assert on_gpu("animate.preset=dwpose-sam2", "workers.animate.cpus=2") == []


def test_a_worker_without_a_gpu_uses_the_cpu() -> None:
    config = configuration.load(
        None, ["prepare.preset=dwpose-sam2", "prepare.depth.device=cuda", "workers.pose.gpus=1"]
    )
    configs = {
        step.stage.name: step.stage.config for step in steps(config.prepare, config.workers_by_stage(list(STAGES)))
    }
    devices = {name: configs[name].device for name in ("pose", "depth", "character_mask")}
    assert devices == {"pose": "auto", "depth": "cuda", "character_mask": "cpu"}


def test_notice_for_published_networks_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "has_gpu", lambda: False)
    _, (notice,) = workers_and_notices("prepare.preset=sapiens2-depthanything-sam2")
    assert notice.startswith("NO GPU for pose, depth, character_mask, object_masks: ")
    assert "workers: {pose: {gpus: 1}}" in notice
    assert workers_and_notices("prepare.preset=dwpose-sam2", "prepare.device=cpu")[1] == []
    assert "trained on drawn puppets only" in workers_and_notices("prepare.preset=puppets")[1][0]
    assert workers_and_notices()[1] == []


@pytest.mark.usefixtures("gpu")
def test_notice_for_onnxruntime_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    (notice,) = workers_and_notices("prepare.preset=dwpose-sam2")[1]
    assert notice.startswith("DWPOSE WOULD RUN ON THE CPU")
    assert "onnxruntime-gpu" in notice
    assert workers_and_notices("prepare.depth.backend=depth-anything")[1] == []
