"""Execution of a job: planning, running, accounting, report, tracking. Shared by all verbs that write a dataset."""

from __future__ import annotations

import contextlib
import json
import logging
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.engine import tracking
from jobs.engine.code_version import code_version
from jobs.engine.config import changed_settings, resolved
from jobs.engine.console import Console
from jobs.engine.dry_run import dry_run, planned, reason_lines
from jobs.engine.last_job import LAST_JOB
from jobs.engine.run_file import earlier_record, earlier_run, publish_run, recorded_inputs
from jobs.engine.spec import Job, JobEnd, JobResult, Options
from jobs.engine.verdict import few_ok, max_failed, too_many_failed
from pipelines.engine.columns import reserved_columns
from pipelines.engine.damage import damage_named
from pipelines.engine.explain import publish_stages, reasons
from pipelines.engine.keys import pipeline_key, stage_keys
from pipelines.engine.ledger import Ledger
from pipelines.engine.lock import dataset_lock
from pipelines.engine.networks import networks_of_rows
from pipelines.engine.plan import PLANNED_COLUMNS, Plan
from pipelines.engine.resources import MissingResourcesError, await_resources, demands_of
from pipelines.engine.runner import OutputError, RayStoppedError, run
from pipelines.engine.schema import dataset_schema
from pipelines.engine.steps import check, fuse
from pipelines.engine.tables import publish_table
from pipelines.engine.tally import SystemicFaultError, Tally
from pipelines.engine.worker import WorkerSpec
from stages.io.storage import Storage
from stages.redact import redact, redact_text

log = logging.getLogger(__name__)


def run_job(job: Job, options: Options, console: Console) -> JobResult:
    """Plan, run, account for and report a job.

    Raises:
        ManifestError: an invalid manifest.
        DatasetBusyError: another job writes to the dataset.
        ValueError: invalid steps or options. No row was run in any of these cases.
    """
    started, started_at = time.perf_counter(), datetime.now(UTC)
    job_id = f"{started_at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    ledger = Ledger(Storage(job.out), job.id_column)
    check(job.steps, [*job.manifest.required, *job.manifest.optional, *PLANNED_COLUMNS])
    if options.dry_run:
        return dry_run(job, options, console)
    with dataset_lock(ledger.storage, job_id), damage_named(ledger.storage, ledger.data_names()):
        ledger.storage.sweep_temporaries()
        ledger.compact()
        stages = [step.stage for step in job.steps]
        keys = stage_keys(stages)
        job.clean()
        if job.table is not None:
            publish_table(ledger.storage, job.manifest.url.removeprefix(f"{ledger.storage.url}/"), job.table)
        plan = Plan(
            job.manifest,
            ledger,
            key_columns=job.key_columns,
            pipeline=pipeline_key(keys),
            limit=options.limit,
            sample=options.sample,
            retry=options.retry,
            order_by=job.order_by,
            reserved=reserved_columns(stages, job.written),
        )
        allowed = max_failed(options.max_failed, job.config.limits.max_failed, plan.total)
        console.line(planned(job.verb, plan))
        for notice in job.notices:
            console.notice(notice)
        for line in reason_lines(reasons(plan, stages, keys), plan.num_pending):
            console.line(f"  {line}")
        provenance = {"code_version": code_version(), "job_id": job_id, "weights": _weights(job)}
        publish_stages(ledger.storage, stages, keys)
        last_error = earlier_error(ledger.storage)
        record_of_job = _publish_job(ledger.storage, job, job_id, plan, options)
        spec = WorkerSpec(
            stages=stages,
            keys=keys,
            pipeline_key=pipeline_key(keys),
            ledger=ledger,
            schema=dataset_schema(job.verb, plan.manifest_schema, job.written),
            provenance=provenance,
            row_timeout_seconds=job.config.limits.row_timeout_seconds,
        )
        if plan.num_pending and options.run_rows:
            import jobs.engine.ray_runtime  # noqa: F401  the longest way, before the import of MLflow beside it
        uri = options.tracking_uri or tracking.sqlite_uri(Path())
        recorded = recorded_inputs(job, plan, spec, uri, options)
        with tracking.run(
            job.verb,
            uri=None if plan.num_pending == 0 and recorded == earlier_record(ledger.storage) else uri,
            out=ledger.storage.url,
            experiment=options.experiment,
            run_id=earlier_run(ledger.storage),
            on_start=lambda run_id: publish_run(ledger.storage, run_id),
        ) as record:
            record.params({"verb": job.verb, "out": job.out, **provenance, "pipeline_key": spec.pipeline_key})
            record.params(changed_settings(job.config, job.verb))
            record.config(resolved(job.config))
            record.manifest(job.manifest.url, digest=plan.digest(), num_rows=plan.total)
            try:
                tally, error = _run_rows(job, plan, spec, options, console)
            except KeyboardInterrupt:
                console.line(f"{job.verb}: {plan.counts().line()}")
                raise
            counts = plan.counts()
            plan.close()
            lines, error = _finish(job, ledger, error)
            error = error or too_many_failed(counts, allowed, ledger.storage.url)
            if not options.run_rows:
                error = last_error
            end = JobEnd(
                job=job,
                job_id=job_id,
                counts=counts,
                tally=tally,
                seconds=time.perf_counter() - started,
                started_at=started_at,
                provenance=provenance,
                ledger=ledger,
                error=error,
                scope=_scope(options),
                num_manifest_rows=plan.num_manifest_rows,
                mlflow_run_id=record.run_id,
            )
            report_path = _publish_report(end, record, console)
            for name, data in job.artifacts(ledger):
                record.file(name, data)
            _record(end, record)
            exit_code = int(end.error is not None or not end.counts.accounted)
            record.failed = exit_code != 0
        _publish_end(ledger.storage, record_of_job, end, exit_code)
        if record.complete:
            publish_run(ledger.storage, record.run_id, recorded=recorded)
    return _close(end, lines, report_path, exit_code, record, console)


def _run_rows(job: Job, plan: Plan, spec: WorkerSpec, options: Options, console: Console) -> tuple[Tally, str | None]:
    if plan.num_pending == 0 or not options.run_rows:
        return Tally(), None
    from jobs.engine.ray_runtime import cluster  # late: imports Ray

    tally = Tally()
    try:
        with cluster(options.ray_address):
            await_resources(
                demands_of(fuse(job.steps), job.config.workers),
                may_grow=options.ray_address is not None,
                limit_seconds=job.config.limits.wait_for_resources_seconds,
                limit="limits.wait_for_resources_seconds",
                report=console.line,
            )
            with console.progress(plan.num_pending, job.progress) as advance:
                tally = run(plan, job.steps, spec, job.config.limits, tally=tally, on_progress=advance)
    except (SystemicFaultError, OutputError, RayStoppedError, MissingResourcesError) as stopped:
        return tally, str(stopped)
    return tally, None


def _weights(job: Job) -> dict[str, str]:
    return {name: digest for step in job.steps for name, digest in step.stage.weights().items()}


def _publish_job(storage: Storage, job: Job, job_id: str, plan: Plan, options: Options) -> dict[str, Any]:
    """Publish the arguments and configuration of the job, for `retry` and `report`, and its rows, for `status`."""
    record: dict[str, Any] = {"verb": job.verb, "job_id": job_id, "rows": plan.total, "pending": plan.num_pending}
    record |= {"limit": options.limit, "sample": options.sample}
    record |= redact({"arguments": job.arguments, "config": resolved(job.config)})
    storage.publish(LAST_JOB, json.dumps(record, indent=1).encode())
    return record


def earlier_error(storage: Storage) -> str | None:
    """The error with which the last job of the dataset ended, or None."""
    if not storage.exists(LAST_JOB):
        return None
    try:
        error: str | None = json.loads(storage.read(LAST_JOB)).get("end", {}).get("error")
    except ValueError:  # cut short; this job replaces it
        return None
    return error


def _scope(options: Options) -> str | None:
    if options.limit is not None:
        return f"--limit {options.limit}"
    return f"--sample {options.sample}" if options.sample is not None else None


def _publish_end(storage: Storage, record: dict[str, Any], end: JobEnd, exit_code: int) -> None:
    """Publish how the job ended. A full disk, which is then already the error of the job, is ignored."""
    error = end.error and redact_text(end.error)
    state = {"exit_code": exit_code, "seconds": end.seconds, "line": end.counts.line(), "error": error}
    with contextlib.suppress(OSError):
        storage.publish(LAST_JOB, json.dumps({**record, "end": state}, indent=1).encode())


def _finish(job: Job, ledger: Ledger, error: str | None) -> tuple[Sequence[str], str | None]:
    """Run the final step of the verb; returns the lines to print and the error. OSError becomes an error of the job."""
    try:
        return job.finish(ledger), error
    except OSError as refused:
        return (), error or f"{refused}; make room or fix its permissions, and run the same command again"


def _publish_report(end: JobEnd, record: tracking.Run, console: Console) -> str | None:
    if end.job.report is None:
        return None
    html = end.job.report(end)
    record.file("report.html", html.encode())
    try:
        end.ledger.storage.publish("_report/report.html", html.encode())
    except OSError as refused:
        # The rows are committed; a missing report does not fail the job.
        console.error(f"no report: {refused}; `zoetrope report {end.ledger.storage.url}` writes it when there is room")
        return None
    return end.ledger.storage.url_of("_report/report.html")


def _record(end: JobEnd, record: tracking.Run) -> None:
    counts = end.counts
    networks = networks_of_rows(end.ledger)
    record.params({f"network.{stage}": ", ".join(names) for stage, names in networks.items()})
    record.metrics(
        {
            "rows": counts.total,
            "rows_ok": counts.ok,
            "rows_rejected": counts.rejected,
            "rows_failed": counts.failed,
            "rows_run": end.tally.rows,
            "seconds": end.seconds,
            "rows_per_second": end.tally.rows / end.seconds,
            **{f"stage_seconds/{stage}": seconds for stage, seconds in end.tally.seconds_by_stage.items()},
            **end.job.metrics(end.ledger),
        }
    )


def _close(
    end: JobEnd,
    lines: Sequence[str],
    report_path: str | None,
    exit_code: int,
    record: tracking.Run,
    console: Console,
) -> JobResult:
    counts = end.counts
    for line in lines:
        console.line(line)
    console.line(f"dataset: {end.ledger.storage.url}")
    if report_path:
        console.line(f"report:  {report_path}")
    if record.run_id:
        console.line(f"mlflow:  {redact_text(record.uri or 'unchanged')} run {record.run_id}")
    if end.error:
        console.error(end.error)
    elif warning := few_ok(counts, report_path or end.ledger.storage.url):
        console.warning(warning)
    console.line(f"{end.job.verb}: {counts.line()}")
    summary = {
        "verb": end.job.verb,
        "job_id": end.job_id,
        "rows": counts.total,
        "ok": counts.ok,
        "rejected": counts.rejected,
        "failed": counts.failed,
        "not_run": counts.not_run,
        "reasons": dict(counts.reasons or {}),
        "rows_run": end.tally.rows,
        "seconds": round(end.seconds, 3),
        "dataset": end.ledger.storage.url,
        "report": report_path,
        "mlflow_run_id": record.run_id,
        "error": end.error,
        "exit_code": exit_code,
    }
    return JobResult(exit_code=exit_code, summary=summary)
