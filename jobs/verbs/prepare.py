"""`zoetrope prepare`: `clips` → the dataset `prepared`."""

from __future__ import annotations

import dataclasses

from jobs.engine.config import JobConfig
from jobs.engine.console import Console
from jobs.engine.job import run_job
from jobs.engine.licences import check_licences
from jobs.engine.readiness import check_ready
from jobs.engine.spec import Job, JobResult, Options
from jobs.report.build import objects_are_by_puppets, prepare_report
from jobs.verbs.network_notices import has_gpu, network_notices, wants_gpu
from models.perception.shipped import OBJECTS_NOTICE
from pipelines.engine.manifest import Manifest, columns_of
from pipelines.engine.schema import CLIP_COLUMNS
from pipelines.engine.steps import Workers
from pipelines.prepare import KEY_COLUMNS, STAGES, WRITTEN, steps
from stages.backends.base import BackendConfig
from stages.prepare.features import FeatureConfig

OPTIONAL = ("video_id", "size_bytes", "frame_conversion", "objects", "shot_start_seconds", "shot_end_seconds")


def prepare(clips: str, out: str, *, config: JobConfig, options: Options, console: Console) -> JobResult:
    """Decode all clips, extract their pose, depth and masks, and measure their quality.

    Args:
        clips: the dataset `clips` that `ingest` wrote, or a Parquet or CSV file with its columns.
        out: folder of the dataset.

    Raises:
        LicenceError, MissingWeightsError: weights are not allowed or missing; checked before anything else.
        ManifestError: an invalid table of clips.
    """
    settings = config.prepare
    restrictions = check_licences(config.licence_check, networks=networks_of(config).values())
    check_ready(networks_of(config).values())
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
        notices=(*network_notices(networks_of(config), workers), *restrictions),
        finish=lambda ledger: [f"note: {OBJECTS_NOTICE}"] if objects_are_by_puppets(ledger) else [],
        report=prepare_report,
    )
    return run_job(job, options, console)


def workers_of(config: JobConfig, options: Options) -> dict[str, Workers]:
    """Workers by stage.

    On a local machine with a GPU, the stages from the first to the last published network share workers with one GPU,
    unless the job file sets their workers. On a cluster, the job file alone decides.
    """
    workers = config.workers_by_stage(list(STAGES))
    networks = networks_of(config)
    indices = [index for index, name in enumerate(STAGES) if name in networks and wants_gpu(networks[name])]
    together = list(STAGES)[indices[0] : indices[-1] + 1] if indices else []
    configured = config.workers.keys() & {*together, "default"}
    if together and not configured and options.ray_address is None and has_gpu():
        workers |= {name: dataclasses.replace(workers[name], gpus=1.0) for name in together}
    return workers


def networks_of(config: JobConfig) -> dict[str, BackendConfig]:
    """Configuration of the enabled stages that run a network, by stage name."""
    sections = {name: getattr(config.prepare, name) for name in STAGES}
    return {
        name: section
        for name, section in sections.items()
        if isinstance(section, BackendConfig) and (not isinstance(section, FeatureConfig) or section.enabled)
    }
