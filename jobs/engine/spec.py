"""Specification of a job, options for running it, and its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from jobs.engine.config import JobConfig
from jobs.engine.console import RowProgress
from pipelines.engine.ledger import Counts, Ledger
from pipelines.engine.manifest import Manifest
from pipelines.engine.plan import Retry
from pipelines.engine.steps import Step
from pipelines.engine.tally import Tally


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Options of the command line for running a job. They do not affect results.

    Args:
        max_failed: maximum number or percentage of failed rows; beyond it the exit code is 1. None: the job file's
            `limits.max_failed`, else 10%.
        limit: maximum number of rows, the first by id; None: all.
        sample: number of rows, spread over the manifest; None: all.
        dry_run: plan without running rows, writing nothing.
        run_rows: False to account and report only.
        retry: failed rows to run again; None: none.
        tracking_uri: MLflow tracking URI; None: `sqlite:///mlflow.db` in the current folder.
        experiment: name of the MLflow experiment.
        ray_address: address of a running cluster; None: start a local one.
    """

    max_failed: str | None = None
    limit: int | None = None
    sample: int | None = None
    dry_run: bool = False
    run_rows: bool = True
    retry: Retry | None = None
    tracking_uri: str | None = None
    experiment: str = "zoetrope"
    ray_address: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Specification of a job.

    Args:
        verb: `ingest`, `prepare`, …
        arguments: arguments of the verb, stored for `zoetrope retry`.
        out: URL of the dataset to write.
        manifest: the rows to process.
        id_column: id column of manifest and dataset.
        key_columns: manifest columns that a result depends on.
        written: types of the columns that the stages write.
        steps: the pipeline.
        config: the job file.
        notices: notices on the reliability or licence of results.
        table: contents of the manifest, published at its URL before planning, with the dataset's lock held; None: it
            exists.
        clean: called before planning, with the dataset's lock held.
        finish: called with the compacted ledger after the last row; returns lines to print.
        report: renders the HTML report; None: no report.
        order_by: sort columns of pending rows, before the id.
        progress: returns the progress of running rows; None: not reported.
        artifacts: names and contents of further MLflow artifacts, from the compacted ledger.
        metrics: further MLflow metrics by name, from the compacted ledger.
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
    table: pa.Table | None = None
    clean: Callable[[], None] = lambda: None
    finish: Callable[[Ledger], Sequence[str]] = lambda _: ()
    report: Callable[[JobEnd], str] | None = None
    order_by: Sequence[str] = ()
    progress: Callable[[], Sequence[RowProgress]] | None = None
    artifacts: Callable[[Ledger], Iterable[tuple[str, bytes]]] = lambda _: ()
    metrics: Callable[[Ledger], Mapping[str, float]] = lambda _: {}


@dataclass(frozen=True, kw_only=True, slots=True)
class JobEnd:
    """Results of a job, for its report."""

    job: Job
    job_id: str
    counts: Counts
    tally: Tally
    seconds: float
    started_at: datetime
    provenance: dict[str, Any]
    ledger: Ledger
    error: str | None
    scope: str | None = None
    """The option that limited the job to a part of the manifest, as in `--limit 5`; None: the whole."""
    num_manifest_rows: int | None = None
    """Number of rows of the whole manifest."""
    mlflow_run_id: str | None = None


@dataclass(kw_only=True, slots=True)
class JobResult:
    """Exit code of a verb, and its summary for `--json`."""

    exit_code: int
    summary: dict[str, Any] = field(default_factory=dict)
