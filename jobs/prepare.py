"""`zoetrope prepare`: `clips` → the dataset `prepared`."""

from __future__ import annotations

from jobs.config import JobConfig
from jobs.console import Console
from jobs.job import run_job
from jobs.report.build import prepare_report
from jobs.spec import Job, JobResult, Options
from models.perception.embedded import KNOWS_PUPPETS_ONLY
from pipelines.manifest import Manifest, columns_of
from pipelines.prepare import KEY_COLUMNS, STAGES, WRITTEN, steps
from pipelines.schema import CLIP_COLUMNS

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
    backends = (
        settings.pose.backend,
        settings.depth.backend,
        settings.character_mask.backend,
        settings.object_masks.backend,
        *(feature.backend for feature in (settings.clip_embeddings, settings.vae_latents) if feature.enabled),
    )
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
        steps=steps(settings, config.workers_by_stage(list(STAGES))),
        config=config,
        notices=[KNOWS_PUPPETS_ONLY] if "embedded" in backends else [],
        report=prepare_report,
    )
    return run_job(job, options, console)
