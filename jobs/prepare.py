"""`zoetrope prepare`: `clips` → the dataset `prepared`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from jobs.config import JobConfig
from jobs.console import Console
from jobs.doctor import onnx_warnings
from jobs.job import run_job
from jobs.report.build import prepare_report
from jobs.spec import Job, JobResult, Options
from models.perception.embedded import KNOWS_PUPPETS_ONLY
from models.weights.entry import Loader
from models.weights.resolve import entry
from pipelines.manifest import Manifest, columns_of
from pipelines.prepare import KEY_COLUMNS, STAGES, WRITTEN, steps
from pipelines.schema import CLIP_COLUMNS
from pipelines.steps import Workers
from stages.backend import EMBEDDED, BackendConfig
from stages.features import FeatureConfig

OPTIONAL = ("video_id", "size_bytes", "objects")


def prepare(clips: str, out: str, *, config: JobConfig, options: Options, console: Console) -> JobResult:
    """Decode every clip, extract its pose, depth and masks, and measure its quality.

    Args:
        clips: the dataset `clips` that `ingest` wrote, or a Parquet or CSV file with its columns.
        out: folder of the dataset.

    Raises:
        ManifestError: the clips cannot be used.
    """
    settings = config.prepare
    workers = workers_of(config, options)
    job = Job(
        verb="prepare",
        arguments={"clips": clips, "out": out},
        out=out,
        manifest=Manifest(
            url=clips,
            id_column="clip_id",
            required=columns_of(CLIP_COLUMNS, [name for name in CLIP_COLUMNS if name not in OPTIONAL]),
            optional=columns_of(CLIP_COLUMNS, OPTIONAL),
        ),
        id_column="clip_id",
        key_columns=KEY_COLUMNS,
        written=WRITTEN,
        steps=steps(settings, workers),
        config=config,
        notices=_notices(config, workers),
        report=prepare_report,
    )
    return run_job(job, options, console)


def workers_of(config: JobConfig, options: Options) -> dict[str, Workers]:
    """Workers of every stage.

    On a machine with a GPU, published networks and all between them share a worker that has it, unless the job file
    says which workers they have. On a cluster the job file says what there is.
    """
    workers = config.workers_by_stage(list(STAGES))
    networks = _for_gpu(config)
    said = config.workers.keys() & {*networks, "default"}
    if networks and not said and options.ray_address is None and _has_gpu():
        names = list(STAGES)
        places = [names.index(name) for name in networks]
        for name in names[min(places) : max(places) + 1]:
            workers[name] = dataclasses.replace(workers[name], gpus=1.0)
    return workers


def _networks(config: JobConfig) -> dict[str, BackendConfig]:
    """The sections of stages that run a network."""
    sections = {name: getattr(config.prepare, name) for name in STAGES}
    return {
        name: section
        for name, section in sections.items()
        if isinstance(section, BackendConfig) and (not isinstance(section, FeatureConfig) or section.enabled)
    }


def _for_gpu(config: JobConfig) -> dict[str, BackendConfig]:
    """Those that do not ship with this project, and that nobody wants on the CPU."""
    return {name: section for name, section in _networks(config).items() if section.parts and section.device != "cpu"}


def _has_gpu() -> bool:
    import torch  # late: with the embedded networks alone, nobody asks

    return torch.cuda.is_available()


def _notices(config: JobConfig, workers: Mapping[str, Workers]) -> list[str]:
    embedded = any(section.backend == EMBEDDED for section in _networks(config).values())
    notices = [KNOWS_PUPPETS_ONLY] if embedded else []
    networks = _for_gpu(config)
    if without := [name for name in networks if not workers[name].gpus]:
        notices.append(
            f"NO GPU for {', '.join(without)}: published networks take seconds for a frame on the CPU. Where there are "
            f"GPUs, say so in the job file, as in workers: {{{without[0]}: {{gpus: 1}}}}."
        )
    onnx = [part for name in networks.keys() - without for part in networks[name].parts if _is_onnx(part)]
    return [*notices, *(onnx_warnings(has_gpu=True) if onnx else ())]


def _is_onnx(part: str) -> bool:
    return entry(part).loader is Loader.ONNX
