"""Notices about a job's perception networks: training data and device."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.verbs.doctor import onnx_warnings
from models.catalogue import entry
from models.perception.shipped import KNOWS_PUPPETS_ONLY
from models.weights.entry import Loader
from pipelines.engine.steps import Workers
from stages.backends.base import EMBEDDED, BackendConfig


def wants_gpu(config: BackendConfig) -> bool:
    """Whether it is a network that does not ship with this project, and that nobody wants on the CPU."""
    return bool(config.parts) and config.device != "cpu"


def has_gpu() -> bool:
    """Whether this machine has a GPU that torch can use."""
    import torch  # late: jobs with the networks that ship do not ask

    return torch.cuda.is_available()


def network_notices(networks: Mapping[str, BackendConfig], workers: Mapping[str, Workers]) -> list[str]:
    """`networks`: by the name of their stage."""
    notices = [KNOWS_PUPPETS_ONLY] if any(config.backend == EMBEDDED for config in networks.values()) else []
    wanting = [name for name, config in networks.items() if wants_gpu(config)]
    if without := [name for name in wanting if not workers[name].gpus]:
        notices.append(
            f"NO GPU for {', '.join(without)}: published networks take seconds for a frame on the CPU. Where there are "
            f"GPUs, say so in the job file, as in workers: {{{without[0]}: {{gpus: 1}}}}."
        )
    parts = [part for name in wanting if workers[name].gpus for part in networks[name].parts]
    return [
        *notices,
        *(onnx_warnings(has_gpu=True) if any(entry(part).loader is Loader.ONNX for part in parts) else ()),
    ]
