"""Verbs on existing datasets: retry, report, compact."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

import pydantic

from jobs.engine.config import JobConfig
from jobs.engine.console import Console
from jobs.engine.spec import JobResult, Options
from jobs.verbs.animate import animate
from jobs.verbs.evaluate import evaluate
from jobs.verbs.ingest import ingest
from jobs.verbs.prepare import prepare
from pipelines.engine.ledger import Ledger
from pipelines.engine.lock import dataset_lock
from stages.io.storage import Storage
from stages.redact import HIDDEN

ID_COLUMNS = {"ingest": "video_id", "prepare": "clip_id", "animate": "request_id", "evaluate": "animation_id"}


def retry(dataset: str, *, options: Options, console: Console) -> JobResult:
    """Run the rows of `dataset` that match `options.retry` again, with the arguments of its last job.

    Raises:
        ValueError: `dataset` was not written by a job.
    """
    return _run_last_job(dataset, options, console)


def report(dataset: str, *, options: Options, console: Console) -> JobResult:
    """Write a new report of `dataset`, without running rows.

    Raises:
        ValueError: `dataset` was not written by a job.
    """
    result = _run_last_job(dataset, dataclasses.replace(options, run_rows=False), console)
    return JobResult(exit_code=0, summary={**result.summary, "exit_code": 0})


def compact(dataset: str, *, console: Console) -> JobResult:
    """Merge the committed parts of `dataset` into its data files.

    Raises:
        ValueError: `dataset` was not written by a job.
        DatasetBusyError: another job holds the lock.
    """
    last_job = _last_job(dataset)
    ledger = Ledger(Storage(dataset), ID_COLUMNS[last_job["verb"]])
    with dataset_lock(ledger.storage, f"compact-{uuid.uuid4().hex[:8]}"):
        ledger.storage.sweep_temporaries()
        moved = ledger.compact()
    console.line(f"compact: {moved} rows merged; {len(ledger.data_names())} data files in {ledger.storage.url}")
    return JobResult(exit_code=0, summary={"verb": "compact", "rows": moved, "files": len(ledger.data_names())})


def _run_last_job(dataset: str, options: Options, console: Console) -> JobResult:
    last_job = _last_job(dataset)
    if HIDDEN in json.dumps(last_job):
        raise ValueError(
            f"the arguments of the last job of {dataset} have credentials, which are not stored; put those into the "
            "environment, and run the command of that job again with URIs without them"
        )
    config = pydantic.TypeAdapter(JobConfig).validate_python(last_job["config"])
    arguments: dict[str, Any] = last_job["arguments"]
    if last_job["verb"] == "ingest":
        return ingest(arguments.pop("sources"), **arguments, config=config, options=options, console=console)
    if last_job["verb"] == "animate":
        return animate(arguments.pop("out"), **arguments, config=config, options=options, console=console)
    if last_job["verb"] == "evaluate":
        return evaluate(arguments.pop("out"), **arguments, config=config, options=options, console=console)
    return prepare(arguments.pop("clips"), **arguments, config=config, options=options, console=console)


def _last_job(dataset: str) -> dict[str, Any]:
    storage = Storage(dataset)
    if not storage.exists("_jobs/last.json"):
        raise ValueError(f"{dataset} was not written by a zoetrope job (it has no _jobs/last.json)")
    last_job: dict[str, Any] = json.loads(storage.read("_jobs/last.json"))
    return last_job
