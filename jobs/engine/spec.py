"""What a job is, what the command line may say about running it, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.engine.config import JobConfig
from jobs.engine.console import RowProgress
from pipelines.engine.ledger import Counts, Ledger
from pipelines.engine.manifest import Manifest
from pipelines.engine.plan import Retry
from pipelines.engine.runner import Tally
from pipelines.engine.steps import Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the command line says about how to run, as opposed to what to compute.

    Args:
        max_failed: a number of rows or a percentage; beyond it the job stops and its exit code is 1. None: the job
            file's `limits.max_failed`, else 10%.
        limit: consider only the first rows by id.
        retry: run matching failed rows again.
        run_rows: off to account and report only.
        tracking_uri, experiment: where MLflow records the run; None: `sqlite:///mlflow.db` in the current folder.
        ray_address: of a running cluster; None: one is started for the job.
    """

    max_failed: str | None = None
    limit: int | None = None
    dry_run: bool = False
    run_rows: bool = True
    retry: Retry | None = None
    tracking_uri: str | None = None
    experiment: str = "zoetrope"
    ray_address: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to compute.

    Args:
        verb: `ingest`, `prepare`, …
        arguments: what `zoetrope retry` needs to run the same again: the verb's own arguments.
        out: URL of the dataset to write.
        notices: sentences a person must read before trusting the results.
        write_manifest: called before planning, with the dataset's lock held.
        finish: called with the compacted ledger after the rows are done; returns lines to print.
        report: called with everything known at the end; returns the report's HTML.
        order_by: columns that pending rows are ordered by before their id.
        progress: how far the rows in hand are, for whoever watches; None: rows are too short to ask.
        artifacts: names and contents of further files for MLflow, from the compacted ledger.
    """

    verb: str
    arguments: dict[str, Any]
    out: str
    manifest: Manifest
    id_column: str
    key_columns: Sequence[str]
    written: dict[str, Any]
    steps: Sequence[Step]
    config: JobConfig
    notices: Sequence[str] = ()
    write_manifest: Callable[[], None] = lambda: None
    finish: Callable[[Ledger], Sequence[str]] = lambda _: ()
    report: Callable[[JobEnd], str] | None = None
    order_by: Sequence[str] = ()
    progress: Callable[[], Sequence[RowProgress]] | None = None
    artifacts: Callable[[Ledger], Iterable[tuple[str, bytes]]] = lambda _: ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobEnd:
    """What a job came to."""

    job: Job
    job_id: str
    counts: Counts
    tally: Tally
    seconds: float
    started_at: datetime
    provenance: dict[str, Any]
    ledger: Ledger
    error: str | None
    mlflow_run_id: str | None = None


@dataclass(kw_only=True, slots=True)
class JobResult:
    """What the command line prints, and its exit code."""

    exit_code: int
    summary: dict[str, Any] = field(default_factory=dict)
