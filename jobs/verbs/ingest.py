"""`zoetrope ingest`: raw videos → the datasets `videos` and `clips`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.engine.config import JobConfig
from jobs.engine.console import Console
from jobs.engine.job import run_job
from jobs.engine.spec import Job, JobResult, Options
from jobs.report.build import job_report
from pipelines.engine.columns import CORPUS_COLUMNS
from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, columns_of
from pipelines.engine.sources import SOURCE_COLUMNS, find_sources
from pipelines.ingest import KEY_COLUMNS, WRITTEN, steps, write_clips
from pipelines.prompts import check_objects
from stages.ingest.cut import CutStage
from stages.ingest.probe import ProbeStage
from stages.io.storage import Storage


def ingest(
    sources: Sequence[str], out: str, *, objects: str | None, config: JobConfig, options: Options, console: Console
) -> JobResult:
    """Probe all sources and cut them into clips.

    Args:
        sources: folders, globs, URLs, or `.parquet` / `.csv` lists.
        out: folder of the datasets: `OUT/videos` and `OUT/clips`.
        objects: URL of the table of object prompts; None: no prompts.

    Raises:
        ManifestError: no sources, an invalid list, or an invalid table of prompts.
    """
    videos = Storage(f"{out.rstrip('/')}/videos")
    clips = Storage(f"{out.rstrip('/')}/clips")
    if objects is not None:
        check_objects(objects)
    table = find_sources(sources, config.ingest.probe.allowed_schemes, reserved=CORPUS_COLUMNS)

    def finish(ledger: Ledger) -> Sequence[str]:
        written = write_clips(ledger, clips, objects, config.ingest.prompts)
        lines = [f"clips:   {clips.url} ({written.num_clips} clips)"]
        if written.num_prompts_unused:
            unused = f"{written.num_prompts_unused} of {written.num_prompts} object prompts"
            lines.append(f"note: {unused} name no video of this dataset, or a time in none of its shots with clips")
        if written.num_too_distant:
            lines.append(
                f"note: {written.num_too_distant} times a clip lacks an object of its shot, as the nearest prompt is "
                f"more than {config.ingest.prompts.max_distance_seconds:g} s away (ingest.prompts.max_distance_seconds)"
            )
        return lines

    arguments: dict[str, Any] = {"sources": list(sources), "out": out, "objects": objects}
    job = Job(
        verb="ingest",
        arguments=arguments,
        out=videos.url,
        manifest=Manifest(
            url=videos.url_of("_jobs/sources.parquet"),
            id_column="video_id",
            required=columns_of(SOURCE_COLUMNS, list(SOURCE_COLUMNS)),
            optional={},
        ),
        id_column="video_id",
        key_columns=KEY_COLUMNS,
        written=WRITTEN,
        steps=steps(config.ingest, config.workers_by_stage([ProbeStage.name, CutStage.name])),
        config=config,
        table=table,
        finish=finish,
        report=job_report,
    )
    return run_job(job, options, console)
