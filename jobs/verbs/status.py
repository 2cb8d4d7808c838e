"""`zoetrope status`: the job that is writing to a dataset, or the last one."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from jobs.engine.console import Console, duration
from jobs.engine.last_job import ID_COLUMNS, LAST_JOB, read_last_job
from jobs.engine.spec import JobResult
from pipelines.engine.ledger import Ledger
from pipelines.engine.lock import lock_holder
from pipelines.engine.progress import Committed, committed
from stages.io.storage import Storage


def status(dataset: str, *, console: Console) -> JobResult:
    """Print who writes to a dataset, how far the job is, and how the last one ended. Writes nothing.

    Args:
        dataset: a dataset that a job writes or wrote; the `--out` of `ingest` stands for its `videos`.
        console: output.

    Raises:
        ValueError: no job wrote to `dataset`.
    """
    dataset = _dataset(dataset)
    storage, job = Storage(dataset), read_last_job(dataset)
    holder = lock_holder(storage)
    ledger = Ledger(storage, ID_COLUMNS[job["verb"]])
    rows = committed(ledger, job["job_id"])
    running = holder is not None and holder.get("job_id") == job["job_id"]
    console.line(f"dataset: {storage.url}, {rows.counts.line().replace(' rows in =', ' rows =')}")
    console.line(f"{job['verb']}:  {_running(job, holder or {}, rows) if running else _ended(job, rows)}")
    if holder is not None and not running:
        console.line(f"locked:  by {_named(holder)}")
    summary = {
        "verb": "status",
        "dataset": storage.url,
        "job": job["verb"],
        "job_id": job["job_id"],
        "running": running,
        "lock": holder,
        "rows": rows.counts.total,
        "ok": rows.counts.ok,
        "rejected": rows.counts.rejected,
        "failed": rows.counts.failed,
        "reasons": dict(rows.counts.reasons or {}),
        "pending_at_start": job.get("pending"),
        "rows_by_job": rows.by_job,
        "failed_by_job": rows.failed_by_job,
        "end": job.get("end"),
    }
    return JobResult(exit_code=0, summary=summary)


def _dataset(given: str) -> str:
    """The dataset, where the `--out` of `ingest` may be given."""
    videos = f"{given.rstrip('/')}/videos"
    return videos if not Storage(given).exists(LAST_JOB) and Storage(videos).exists(LAST_JOB) else given


def _named(holder: dict[str, Any]) -> str:
    return f"{holder.get('job_id', 'an unnamed job')} (process {holder.get('pid', '?')} on {holder.get('host', '?')})"


def _running(job: dict[str, Any], holder: dict[str, Any], rows: Committed) -> str:
    """Progress of a running job."""
    seconds = time.time() - _started(job).timestamp()
    text = f"running for {duration(seconds)}, {_named(holder)}; {rows.by_job}"
    pending = job.get("pending")
    if pending is not None:
        text += f" of {pending} rows" + (f" ({rows.by_job / pending:.0%})" if pending else "")
    text += f", {rows.failed_by_job} failed"
    if rows.by_job:
        text += f", {rows.by_job / seconds:.2f} rows/s"
        if pending is not None and pending > rows.by_job:
            text += f", {duration(seconds / rows.by_job * (pending - rows.by_job))} left"
    return text


def _ended(job: dict[str, Any], rows: Committed) -> str:
    """Outcome of a job that does not run."""
    end, started = job.get("end"), f"{_started(job):%Y-%m-%d %H:%M:%S} UTC"
    if "pending" not in job:
        return f"the job of {started}, by an earlier version, which did not record how it ended"
    if end is None:
        return f"the job of {started} was killed after {rows.by_job} rows; the same command continues it"
    text = f"the job of {started} ended after {duration(end['seconds'])} with exit code {end['exit_code']}"
    text += f": {end['line']}"
    return text if end["error"] is None else f"{text}; {end['error']}"


def _started(job: dict[str, Any]) -> datetime:
    return datetime.strptime(job["job_id"].partition("-")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
