"""Notices about a job's perception networks: training data and device."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.verbs.doctor import onnx_warnings
from models.catalogue import entry
from models.perception.shipped import PUPPETS_ONLY_NOTICE
from models.weights.entry import Loader
from pipelines.engine.steps import Workers
from stages.backends.base import EMBEDDED, BackendConfig
from stages.prepare.object_masks import ObjectMasksConfig
from stages.redact import redact_text


def wants_gpu(config: BackendConfig) -> bool:
    """Whether the backend is a published network that should run on a GPU, and is not configured for the CPU."""
    return config.device != "cpu" and any(entry(part).loader is not Loader.TFLITE for part in config.parts)


def has_gpu() -> bool:
    """Whether this machine has a GPU that torch can use."""
    import torch  # imported late: jobs with embedded networks do not need it

    return torch.cuda.is_available()


def network_notices(networks: Mapping[str, BackendConfig], workers: Mapping[str, Workers]) -> list[str]:
    """Notices for the networks of a job, given by stage name."""
    embedded = [name for name, config in networks.items() if config.backend == EMBEDDED]
    # That of object masks, alone in the default preset, sees few videos: jobs name it where it did.
    alone = all(isinstance(networks[name], ObjectMasksConfig) for name in embedded)
    notices = [] if alone else [f"{PUPPETS_ONLY_NOTICE} They run in {', '.join(embedded)}."]
    for place in dict.fromkeys(config.trained for config in networks.values() if config.trained is not None):
        trained = {name: config for name, config in networks.items() if config.trained == place}
        label = next(iter(trained.values())).network
        notices.append(f"{label}: trained networks of {redact_text(place)}, in {', '.join(trained)}.")
    gpu_stages = [name for name, config in networks.items() if wants_gpu(config)]
    if missing := [name for name in gpu_stages if not workers[name].gpus]:
        notices.append(
            f"NO GPU for {', '.join(missing)}: published networks take seconds per frame on the CPU. If there are "
            f"GPUs, declare them in the job file, e.g. workers: {{{missing[0]}: {{gpus: 1}}}}."
        )
    parts = [part for name in gpu_stages if workers[name].gpus for part in networks[name].parts]
    return [
        *notices,
        *(onnx_warnings(has_gpu=True) if any(entry(part).loader is Loader.ONNX for part in parts) else ()),
    ]
