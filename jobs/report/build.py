"""Reports of finished jobs: summary of the dataset, contact sheets or videos, HTML page."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import duckdb

from jobs.engine.config import resolved
from jobs.report.measured import Evaluation
from jobs.report.render import ReportData, render_report
from jobs.report.sheets import ContactSheet, contact_sheet, frames_to_show
from jobs.report.summary import QUALITY_LABELS, summarise
from jobs.report.videos import ShownVideo, videos_to_show
from models.perception.shipped import OBJECTS_NOTICE
from pipelines.engine.ledger import Ledger
from pipelines.engine.networks import networks_of_rows
from pipelines.engine.schema import ENTRY_COLUMNS
from pipelines.engine.tables import column_names
from stages.backends.base import EMBEDDED
from stages.io.storage import VIDEOS
from stages.outcome import BadRow, Status
from stages.prepare.decode import DecodeStage
from stages.prepare.object_masks import ObjectMasksStage
from stages.prepare.pose import PoseStage
from stages.prepare.select import thresholds

if TYPE_CHECKING:
    from jobs.engine.spec import JobEnd

log = logging.getLogger(__name__)

NUM_SHEETS = 8
NUM_VIDEOS = 12
NUM_REJECTED_SHEETS = 2
"""Maximum number of contact sheets of rejected clips."""
_ROWS_PER_BATCH = 4096
_SUMMARY_COLUMNS = ("status", "stage", "reason", "message", "attempts", "seconds_by_stage", *QUALITY_LABELS)
_REQUEST_URI = "concat_ws(', driven by ', reference_uri, coalesce(driving_uri, clip_id))"


def job_report(end: JobEnd) -> str:
    """HTML report of a job, without pictures."""
    return render_job(end, noun="videos" if end.job.id_column == "video_id" else "rows")


def prepare_report(end: JobEnd) -> str:
    """HTML report of a `prepare` job, with contact sheets of sample clips."""
    decode = DecodeStage(end.job.config.prepare.decode)
    decode.open()
    try:
        sheets, notices = _sheets(end.ledger, decode)
    finally:
        decode.close()
    if objects_are_by_puppets(end.ledger):
        notices += (OBJECTS_NOTICE,)
    limits = thresholds(end.job.config.prepare.select)
    return render_job(end, noun="clips", sheets=sheets, notices=notices, limits=limits)


def animate_report(end: JobEnd) -> str:
    """HTML report of an `animate` job, with sample animations as embedded videos."""
    videos = tuple(videos_to_show(end.ledger, NUM_VIDEOS))
    notices: tuple[str, ...] = ()
    if len(videos) < min(NUM_VIDEOS, end.counts.ok):
        notices = (f"The other animations are not on this page; they are in {end.ledger.storage.url_of(VIDEOS)}.",)
    return render_job(end, noun="animations", videos=videos, notices=notices, uri=_REQUEST_URI)


def render_job(
    end: JobEnd,
    *,
    noun: str,
    sheets: tuple[ContactSheet, ...] = (),
    videos: tuple[ShownVideo, ...] = (),
    evaluation: Evaluation | None = None,
    notices: tuple[str, ...] = (),
    limits: Mapping[str, float] | None = None,
    uri: str = "uri",
) -> str:
    """HTML report of a job: counts, throughput, problems and settings, with the sections that are given.

    Args:
        end: results of the job.
        noun: plural noun for rows.
        sheets, videos, evaluation: sections of particular verbs.
        notices: notices in addition to those of the job.
        limits: threshold by quality column.
        uri: SQL expression of the source of a row.
    """
    job, counts = end.job, end.counts
    summary = summarise(_summary_rows(end.ledger, uri), id_column=job.id_column, thresholds=limits)
    others = summary.total - (counts.total - counts.not_run)
    if end.scope is not None:
        notices += (f"{end.scope}: this job covers {counts.total} of the manifest's {end.num_manifest_rows} rows.",)
    if others > 0:
        outside = f"that {end.scope} leaves out or " if end.scope else ""
        text = (
            f"The dataset also holds {others} rows {outside}that this manifest does not name; they are counted below."
        )
        notices += (text,)
    settings = {name: value for name, value in resolved(job.config).items() if name in (job.verb, "workers", "limits")}
    provenance = {
        "code version": str(end.provenance["code_version"]),
        "dataset": end.ledger.storage.url,
        "manifest": job.manifest.url,
        **({"MLflow run": end.mlflow_run_id} if end.mlflow_run_id else {}),
        **{f"network of {stage}": _counted(networks) for stage, networks in networks_of_rows(end.ledger).items()},
        **{f"weights of {name}": str(digest) for name, digest in end.provenance["weights"].items()},
    }
    return render_report(
        ReportData(
            job=job.verb,
            job_id=end.job_id,
            noun=noun,
            started_at=end.started_at,
            seconds=end.seconds,
            rows_run=end.tally.rows,
            n_in=counts.total,
            ok=counts.ok,
            rejected=counts.rejected,
            failed=counts.failed,
            summary=summary,
            settings=settings,
            provenance=provenance,
            notices=(*job.notices, *notices),
            error=end.error,
            sheets=sheets,
            videos=videos,
            evaluation=evaluation,
        )
    )


def objects_are_by_puppets(ledger: Ledger) -> bool:
    """Whether the embedded network masked objects of videos whose people another network saw."""
    networks = networks_of_rows(ledger)
    backends = {stage: {network.partition("@")[0] for network in names} for stage, names in networks.items()}
    return EMBEDDED in backends.get(ObjectMasksStage.name, ()) and EMBEDDED not in backends.get(PoseStage.name, ())


def _counted(networks: Mapping[str, int]) -> str:
    return ", ".join(
        f"{network} ({num_rows} row{'s' if num_rows > 1 else ''})" for network, num_rows in networks.items()
    )


def _summary_rows(ledger: Ledger, uri: str) -> Iterator[dict[str, Any]]:
    """All rows, reduced to the columns of a summary. `uri`: SQL expression of the source of a row."""
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        if not relation:
            return
        present = column_names(connection, relation)
        columns = [name for name in (ledger.id_column, *_SUMMARY_COLUMNS) if name in present]
        # Ordered by id, for reproducible examples.
        values = [f"map_from_entries({name})" if name in ENTRY_COLUMNS else name for name in columns]
        query = f"SELECT {uri}, {', '.join(values)} FROM {relation} ORDER BY {ledger.id_column}"  # noqa: S608
        columns.insert(0, "uri")
        rows = connection.execute(query)
        while batch := rows.fetchmany(_ROWS_PER_BATCH):
            yield from (dict(zip(columns, values, strict=True)) for values in batch)


def _sheets(ledger: Ledger, decode: DecodeStage) -> tuple[tuple[ContactSheet, ...], tuple[str, ...]]:
    """Contact sheets of sample clips, and a notice if some could not be decoded again."""
    sheets, num_unreadable = [], 0
    for row in _rows_to_show(ledger):
        count = 3 if row["work_width_px"] > row["work_height_px"] else 4
        try:
            indices = frames_to_show(row["num_frames"], count)
            sheets.append(contact_sheet(row, decode(row)["frames"][indices], indices))
        except (BadRow, ValueError) as error:  # source deleted or changed since
            log.warning("no contact sheet of clip %s: %s", row["clip_id"], error)
            num_unreadable += 1
    notices = (
        (f"{num_unreadable} of the clips chosen for pictures could not be decoded again.",) if num_unreadable else ()
    )
    return tuple(sheets), notices


def _rows_to_show(ledger: Ledger) -> Iterator[dict[str, Any]]:
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        if not relation:
            return
        # Ordered by the hash of the id, for a sample that is spread over the dataset and reproducible.
        query = f"SELECT clip_id, filename FROM {relation} WHERE status = ? ORDER BY hash(clip_id) LIMIT ?"  # noqa: S608
        rejected = connection.execute(query, [Status.REJECTED, NUM_REJECTED_SHEETS]).fetchall()
        ok = connection.execute(query, [Status.OK, NUM_SHEETS - len(rejected)]).fetchall()
    for clip_id, filename in (*ok, *rejected):
        row = ledger.read_row(PurePosixPath(filename).name, clip_id)
        if row is not None and row["work_width_px"] is not None:
            yield row
