"""The file of a dataset that names its MLflow run, so that the next start of the job continues or keeps it."""

from __future__ import annotations

import json
from typing import Any

from jobs.engine.config import resolved
from jobs.engine.spec import Job, Options
from pipelines.engine.keys import digest
from pipelines.engine.plan import Plan
from pipelines.engine.worker import WorkerSpec
from stages.io.storage import Storage

RUN_FILE = "_jobs/mlflow.json"


def recorded_inputs(job: Job, plan: Plan, spec: WorkerSpec, uri: str, options: Options) -> str:
    """Digest of everything that the run of a job without pending rows records, except the times."""
    inputs = [job.arguments, resolved(job.config), plan.digest(), plan.total, spec.pipeline_key]
    return digest([*inputs, spec.provenance["code_version"], uri, options.experiment, options.max_failed])


def earlier_record(storage: Storage) -> str | None:
    """`recorded_inputs` of the last start of the job if its run is complete, else None."""
    recorded: str | None = _read(storage).get("recorded")
    return recorded


def earlier_run(storage: Storage) -> str | None:
    """Id of the run of an earlier start of the job, or None."""
    run_id: str | None = _read(storage).get("run_id")
    return run_id


def publish_run(storage: Storage, run_id: str | None, *, recorded: str | None = None) -> None:
    """Publish the id of a run. `recorded`: digest of its inputs, once it is complete."""
    if run_id:
        storage.publish(RUN_FILE, json.dumps({"run_id": run_id, "recorded": recorded}).encode())


def _read(storage: Storage) -> dict[str, Any]:
    if not storage.exists(RUN_FILE):
        return {}
    try:
        run = json.loads(storage.read(RUN_FILE))
    except ValueError:  # damaged: a run of its own is better than no job
        return {}
    return run if isinstance(run, dict) else {}
