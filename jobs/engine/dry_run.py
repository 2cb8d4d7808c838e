"""Dry run of a job: the plan and its reasons, without writing anything and beside a running job."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import PurePosixPath

from jobs.engine.console import Console
from jobs.engine.spec import Job, JobResult, Options
from pipelines.engine.columns import reserved_columns
from pipelines.engine.explain import Reasons, reasons
from pipelines.engine.keys import pipeline_key, stage_keys
from pipelines.engine.plan import Plan
from pipelines.engine.snapshot import LedgerSnapshot
from pipelines.engine.steps import fuse
from pipelines.engine.tables import publish_table
from stages.io.storage import Storage


def dry_run(job: Job, options: Options, console: Console) -> JobResult:
    """Print what a job would do and why.

    Raises:
        ManifestError: an invalid manifest.
    """
    stages = [step.stage for step in job.steps]
    keys = stage_keys(stages)
    with tempfile.TemporaryDirectory() as folder:
        manifest = job.manifest
        if job.table is not None:
            name = PurePosixPath(manifest.url).name
            publish_table(Storage(folder), name, job.table)
            manifest = replace(manifest, url=f"{folder}/{name}")
        plan = Plan(
            manifest,
            LedgerSnapshot(Storage(job.out), job.id_column),
            key_columns=job.key_columns,
            pipeline=pipeline_key(keys),
            limit=options.limit,
            sample=options.sample,
            retry=options.retry,
            order_by=job.order_by,
            reserved=reserved_columns(stages, job.written),
        )
        why = reasons(plan, stages, keys)
        plan.close()
    console.line(planned(job.verb, plan))
    for notice in job.notices:
        console.notice(notice)
    for line in (*reason_lines(why, plan.num_pending), *time_lines(why, plan.num_pending, _workers(job))):
        console.line(f"  {line}")
    for group in fuse(job.steps):
        workers = group.workers
        amount = workers.actors or "as many as fit"
        names = ", ".join(stage.name for stage in group.stages)
        console.line(f"  {amount} workers, {workers.cpus:g} CPU, {workers.gpus:g} GPU each: {names}")
    console.line("dry run: no row was run")
    summary = {"verb": job.verb, "rows": plan.total, "pending": plan.num_pending, "dry_run": True, "why": asdict(why)}
    return JobResult(exit_code=0, summary=summary)


def planned(verb: str, plan: Plan) -> str:
    """Number of rows to do, on one line."""
    part = "" if plan.total == plan.num_manifest_rows else f" of {plan.num_manifest_rows} in the manifest"
    return f"{verb}: {plan.total} rows{part}, {plan.total - plan.num_pending} done before, {plan.num_pending} to do"


def reason_lines(why: Reasons, num_pending: int) -> list[str]:
    """Why rows are to be run, and which stages run."""
    if not num_pending:
        return []
    inputs = ", ".join(f"{name} in {count}" for name, count in why.changed_inputs.items())
    parts = (
        (why.new, "new"),
        (why.num_changed_inputs, f"with changed inputs ({inputs})"),
        (why.changed_columns, "with changed columns of your own, which are copied"),
        (why.stale, "stale"),
        (why.failed_before, "failed before"),
    )
    lines = ["to do: " + ", ".join(f"{count} {text}" for count, text in parts if count)]
    for one in why.changed:
        changes = "; ".join(one.changes) or "it reads what another stage of this list writes"
        lines.append(f"stale by {one.stage}, in {one.num_rows} rows: {changes}")
    if why.stale:
        lines.append(f"stale rows run {', '.join(why.run_again) or 'no stage'} again")
        lines.append(f"and keep {', '.join(why.reused) or 'nothing'}")
    return lines


def time_lines(why: Reasons, num_pending: int, num_workers: int) -> list[str]:
    """Estimate of the time, from finished rows."""
    if not num_pending:
        return []
    stale = sum(why.seconds_by_stage.get(stage, 0.0) for stage in why.run_again)
    whole = sum(why.seconds_by_stage.values())
    seconds = stale * why.stale + whole * (num_pending - why.stale)
    if not seconds:
        return ["time: unknown, as no row is finished; after a run with --sample 20, a dry run estimates it"]
    slowest, share = bottleneck(why.seconds_by_stage)
    line = f"time: about {duration(seconds)} for one worker, {duration(seconds / num_workers)} for {num_workers}"
    return [f"{line}, from {why.num_timed} finished rows; {slowest} takes {share:.0%}"]


def bottleneck(seconds_by_stage: Mapping[str, float]) -> tuple[str, float]:
    """The stage that takes longest, and its share."""
    slowest = max(seconds_by_stage, key=lambda name: seconds_by_stage[name])
    return slowest, seconds_by_stage[slowest] / max(1e-9, sum(seconds_by_stage.values()))


def duration(seconds: float) -> str:
    """Duration in the unit that suits it."""
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"


def _workers(job: Job) -> int:
    """Workers of the first stages on this machine."""
    workers = job.steps[0].workers
    fit = max(1, int((os.cpu_count() or 1) / workers.cpus))
    return min(workers.actors, fit) if workers.actors else fit
