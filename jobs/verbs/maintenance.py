"""Verbs on existing datasets: retry, report, compact."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

import pydantic

from jobs.engine.config import JobConfig
from jobs.engine.console import Console
from jobs.engine.last_job import ID_COLUMNS, read_last_job
from jobs.engine.spec import JobResult, Options
from jobs.verbs.animate import animate
from jobs.verbs.evaluate import evaluate
from jobs.verbs.ingest import ingest
from jobs.verbs.prepare import prepare
from pipelines.engine.damage import DAMAGED
from pipelines.engine.damage import repair as repair_files
from pipelines.engine.ledger import Ledger
from pipelines.engine.lock import dataset_lock
from pipelines.engine.orphans import amount, find_orphans, orphans_line
from pipelines.engine.orphans import prune as prune_files
from stages.io.storage import Storage
from stages.redact import HIDDEN


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


def compact(dataset: str, *, console: Console, repair: bool = False, prune: bool = False) -> JobResult:
    """Merge the committed parts of `dataset` into its data files.

    Args:
        dataset: URL of the dataset.
        console: output.
        repair: set damaged data files aside, and keep the rows in them that can be read.
        prune: delete media files that no row names.

    Raises:
        ValueError: `dataset` was not written by a job, or has damaged data files and `repair` is not set.
        DatasetBusyError: another job holds the lock.
    """
    last_job = read_last_job(dataset)
    ledger = Ledger(Storage(dataset), ID_COLUMNS[last_job["verb"]])
    storage = ledger.storage
    with dataset_lock(storage, f"compact-{uuid.uuid4().hex[:8]}"):
        storage.sweep_temporaries()
        repaired = repair_files(storage, ledger.data_names()) if repair else []
        moved = ledger.compact()
        orphans = find_orphans(ledger)
        pruned = prune_files(storage, orphans) if prune else []
    for file in repaired:
        rows = f"{file.num_kept} of {file.num_rows} rows kept" if file.num_rows is not None else "no row can be read"
        console.line(f"repair: {file.name}: {rows}; the damaged file is in {storage.url_of(DAMAGED)}")
    if any(file.num_kept != file.num_rows for file in repaired):
        console.line("repair: the command that wrote the dataset, run again, makes the missing rows")
    if prune:
        young = len(orphans) - len(pruned)
        kept = f"; {young} younger than an hour are kept" if young else ""
        console.line(f"prune: {amount(pruned)} deleted{kept}")
    elif orphans:
        console.line(orphans_line(orphans, storage.url))
    num_files = len(ledger.data_names())
    console.line(f"compact: {moved} rows merged; {num_files} data files in {storage.url}")
    summary = {
        "verb": "compact",
        "rows": moved,
        "files": num_files,
        "repaired": [dataclasses.asdict(file) for file in repaired],
        "pruned": len(pruned),
        "orphans": len(orphans) - len(pruned),
    }
    return JobResult(exit_code=0, summary=summary)


def _run_last_job(dataset: str, options: Options, console: Console) -> JobResult:
    last_job = read_last_job(dataset)
    if HIDDEN in json.dumps(last_job):
        raise ValueError(
            f"the arguments of the last job of {dataset} have credentials, which are not stored; put those into the "
            "environment, and run the command of that job again with URIs without them"
        )
    config = pydantic.TypeAdapter(JobConfig).validate_python(last_job["config"])
    arguments: dict[str, Any] = last_job["arguments"]
    # The same part of the manifest: a job with --limit is not to be continued beyond it.
    options = dataclasses.replace(options, limit=last_job.get("limit"), sample=last_job.get("sample"))
    if last_job["verb"] == "ingest":
        return ingest(arguments.pop("sources"), **arguments, config=config, options=options, console=console)
    if last_job["verb"] == "animate":
        return animate(arguments.pop("out"), **arguments, config=config, options=options, console=console)
    if last_job["verb"] == "evaluate":
        return evaluate(arguments.pop("out"), **arguments, config=config, options=options, console=console)
    return prepare(arguments.pop("clips"), **arguments, config=config, options=options, console=console)
