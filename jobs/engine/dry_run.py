"""Dry run of a job: the plan and its reasons, without writing anything and beside a running job."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from pathlib import PurePosixPath

from jobs.engine.console import Console
from jobs.engine.estimate import UNKNOWN, estimate, estimate_lines, group_lines
from jobs.engine.spec import Job, JobResult, Options
from pipelines.engine.columns import reserved_columns
from pipelines.engine.explain import Reasons, reasons
from pipelines.engine.keys import pipeline_key, stage_keys
from pipelines.engine.ledger import stored_bytes
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
    found = estimate(job, why, plan.num_pending, stored_bytes(Storage(job.out)))
    times = estimate_lines(found) if found else [UNKNOWN] * (plan.num_pending > 0)
    for line in (*reason_lines(why, plan.num_pending), *times, *group_lines(fuse(job.steps), found)):
        console.line(f"  {line}")
    console.line("dry run: no row was run")
    summary = {
        "verb": job.verb,
        "rows": plan.total,
        "pending": plan.num_pending,
        "dry_run": True,
        "why": asdict(why),
        "estimate": found and asdict(found),
    }
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
