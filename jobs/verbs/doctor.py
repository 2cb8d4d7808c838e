"""`zoetrope doctor`: which jobs this machine and the weights on it are ready for."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.engine.console import Console
from jobs.engine.presets import PRESETS, SECTIONS
from jobs.engine.readiness import installed, missing_means
from jobs.engine.spec import JobResult
from models.catalogue import entry
from models.common.digest import CheckpointError
from models.systems import find_model, model_names
from models.weights.entry import Weights
from models.weights.presence import Presence, presence
from pipelines.evaluation.steps import STAGES, EvaluationConfig, networks_of
from pipelines.prepare import PrepareConfig

CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4", "prores")
OPTIONAL_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "sam2", "decord", "mamba-ssm", "s3fs")


def doctor(folder: Path | None, *, allow_torchscript: bool, console: Console) -> JobResult:
    """Report the machine, what each preset, model and measure still needs, and what would be slow."""
    machine = describe_machine()
    warnings = onnx_warnings(has_gpu=bool(machine["gpus"]))
    jobs = [
        *(_preset(name, folder, allow_torchscript=allow_torchscript) for name in PRESETS),
        *({"job": f"animate, {name}", "missing": _absent(find_model(name).weights, folder)} for name in model_names()),
        *(
            {"job": f"evaluate, {name}", "missing": _missing(config.parts, folder, allow_torchscript=allow_torchscript)}
            for name, config in networks_of(EvaluationConfig(), tuple(STAGES)).items()
            if config.parts
        ),
    ]
    _print(machine, jobs, warnings, console)
    return JobResult(exit_code=0, summary={"machine": machine, "jobs": jobs, "warnings": warnings})


def describe_machine() -> dict[str, Any]:
    """Processors, memory, disk, GPUs, decoders, packages."""
    import psutil
    import torch

    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "free_disk_gib": round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        "gpus": [{"name": gpu.name, "memory_gib": round(gpu.total_memory / 2**30, 1)} for gpu in gpus],
        "decoders": {codec: _decodes(codec) for codec in CODECS},
        "encodes_h264": _encodes_h264(),
        "packages": {name: installed(name) for name in OPTIONAL_PACKAGES},
    }


def onnx_warnings(*, has_gpu: bool) -> list[str]:
    """Problems of onnxruntime, which runs DWPose: not installed, or without access to the GPU."""
    from models.perception.onnx_session import missing_cuda

    try:
        problem = missing_cuda()
    except CheckpointError as error:
        return [str(error)]
    if has_gpu and problem is not None:
        return [f"DWPOSE WOULD RUN ON THE CPU, about a hundred times slower, although there is a GPU: {problem}"]
    return []


def _preset(name: str, folder: Path | None, *, allow_torchscript: bool) -> dict[str, Any]:
    defaults = PrepareConfig()
    parts: dict[str, None] = {}
    for section, signal in SECTIONS["prepare"].items():
        if signal in PRESETS[name]:
            config = type(getattr(defaults, section))(backend=PRESETS[name][signal])
            parts |= dict.fromkeys(config.parts)
    missing = _missing(tuple(parts), folder, allow_torchscript=allow_torchscript)
    return {"job": f"prepare, preset {name}", "missing": missing}


def _missing(names: Sequence[str], folder: Path | None, *, allow_torchscript: bool) -> list[str]:
    entries = [entry(name) for name in names]
    return _absent(entries, folder) + missing_means(entries, allow_torchscript=allow_torchscript)


def _decodes(codec: str) -> bool:
    import av

    try:
        av.Codec(codec, "r")
    except ValueError:
        return False
    return True


def _encodes_h264() -> bool:
    import av

    try:
        av.Codec("libx264", "w")
    except ValueError:
        return False
    return True


def _absent(entries: Sequence[Weights], folder: Path | None) -> list[str]:
    return [part.name for part in entries if presence(part, folder) is not Presence.HERE]


def _print(machine: dict[str, Any], jobs: Sequence[dict[str, Any]], warnings: Sequence[str], console: Console) -> None:
    gpus = ", ".join(f"{gpu['name']} ({gpu['memory_gib']:g} GiB)" for gpu in machine["gpus"])
    gpus = gpus or "none; published networks will be slow"
    decoders = ", ".join(codec for codec, there in machine["decoders"].items() if there)
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items() if number) or "none"
    console.line(f"machine:   {machine['cpus']} CPUs, {machine['memory_gib']:g} GiB, GPU: {gpus}")
    console.line(f"disk:      {machine['free_disk_gib']:g} GiB free here")
    console.line(f"software:  Python {machine['python']}, torch {machine['torch']}; optional: {packages}")
    console.line(f"decodes:   {decoders}; writes H.264: {'yes' if machine['encodes_h264'] else 'NO'}")
    for job in jobs:
        state = "ready" if not job["missing"] else f"needs {', '.join(job['missing'])}"
        console.line(f"{job['job']}: {state}")
    if any(job["missing"] for job in jobs):
        console.line(
            "`zoetrope weights fetch NAME…` downloads weights; `zoetrope weights where NAME…` says where they go"
        )
    for warning in warnings:
        console.error(f"WARNING: {warning}")
