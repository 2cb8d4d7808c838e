"""Tracking of jobs with MLflow. Errors of MLflow are logged and never fail a job.

Only this module imports MLflow. One run per job, written by the driver; a job that is started again continues its run.
The default store is a SQLite file, which only one process at a time can initialise.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stages.redact import redact, redact_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

EXPERIMENT = "zoetrope"
MAX_PARAM_CHARS = 6000
MAX_METRICS_PER_BATCH = 1000
"""Limit of MLflow."""
_SQLITE = "sqlite:///"
# Set before the import of MLflow unless set by the user: short timeouts for an unreachable server, no telemetry.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def sqlite_uri(folder: Path) -> str:
    """Tracking URI of a SQLite store: `folder/mlflow.db`, with artifacts in `folder/mlruns`."""
    return f"{_SQLITE}{folder.resolve() / 'mlflow.db'}"


class Run:
    """MLflow run of one job. The first failed call logs a warning and disables the others."""

    def __init__(self, uri: str | None) -> None:
        self.uri = uri
        """Tracking URI; None: not tracked."""
        self.run_id: str | None = None
        """Run id, to pass to `run` when the job is started again. None if not tracked."""
        self.failed = False
        """Set by a job that fails without raising, such as for too many failed rows."""
        self._client: MlflowClient | None = None
        self._disabled = False

    def params(self, params: Mapping[str, Any]) -> None:
        """Log parameters. MLflow parameters are immutable: a changed value in a continued run becomes a tag."""
        values = {name: str(value)[:MAX_PARAM_CHARS] for name, value in redact(params).items()}

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Param, RunTag

            logged = client.get_run(run_id).data.params
            new = [Param(name, value) for name, value in values.items() if name not in logged]
            changed = {name: value for name, value in values.items() if logged.get(name, value) != value}
            tags = [RunTag(f"resumed_with.{name}", value) for name, value in changed.items()]
            client.log_batch(run_id, params=new, tags=tags)

        self._attempt("parameters", write)

    def config(self, config: Mapping[str, Any]) -> None:
        """Log the resolved configuration as the artifact `config.yaml`."""
        resolved = redact(config)
        self._attempt("the configuration", lambda client, run_id: client.log_dict(run_id, resolved, "config.yaml"))

    def metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Log metrics, such as counts and throughput."""

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Metric

            now_ms = int(time.time() * 1000)
            entries = [Metric(name, float(value), now_ms, step) for name, value in metrics.items()]
            for start in range(0, len(entries), MAX_METRICS_PER_BATCH):
                client.log_batch(run_id, entries[start : start + MAX_METRICS_PER_BATCH])

        self._attempt("metrics", write)

    def manifest(self, uri: str, *, digest: str, num_rows: int) -> None:
        """Log the input dataset. `digest`: of its content, such as `sha256:…`."""

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Dataset, DatasetInput

            dataset = Dataset(
                name=uri.rstrip("/").rsplit("/", 1)[-1][:500] or "manifest",
                digest=digest.removeprefix("sha256:")[:36],  # maximum length of the column
                source_type=urlsplit(uri).scheme or "local",
                source=json.dumps({"uri": redact_text(uri)}),
                profile=json.dumps({"num_rows": num_rows, "digest": digest}),
            )
            client.log_inputs(run_id, [DatasetInput(dataset)])

        self._attempt("the manifest", write)

    def file(self, name: str, data: bytes) -> None:
        """Log a file as the artifact `name`, a relative path such as `sheets/clip-1.webp`."""

        def write(client: MlflowClient, run_id: str) -> None:
            folder, _, leaf = name.rpartition("/")
            with tempfile.TemporaryDirectory() as temporary:
                path = Path(temporary) / leaf
                path.write_bytes(data)
                client.log_artifact(run_id, str(path), folder or None)

        self._attempt(f"'{name}'", write)

    def _attempt(self, action: str, write: Callable[[MlflowClient, str], None]) -> None:
        if self._client is None or self.run_id is None or self._disabled:
            return
        try:
            write(self._client, self.run_id)
        except Exception as error:  # noqa: BLE001  no error of MLflow fails the job
            self._disable(f"logging {action} failed", error)

    def _disable(self, problem: str, error: Exception) -> None:
        if self._disabled:
            return
        self._disabled = True
        cause = f"{type(error).__name__}: {redact_text(str(error)).strip()}".split("\n", 1)[0][:300]
        log.warning("MLflow at %s: %s (%s); the job goes on without it", redact_text(self.uri or ""), problem, cause)

    def _start(self, job_name: str, experiment: str, run_id: str | None) -> None:
        if self.uri is None:
            return
        try:
            with _sole_access(self.uri):
                client = _client(self.uri)
                experiment_id = _experiment(client, experiment, self.uri)
            if run_id is None or not _continue(client, run_id):
                run_id = client.create_run(
                    experiment_id, run_name=job_name, tags={"zoetrope.job": job_name}
                ).info.run_id
            self._client, self.run_id = client, run_id
        except Exception as error:  # noqa: BLE001  see above
            self._disable("no run could be started", error)

    def _end(self, status: str) -> None:
        if self._client is None or self.run_id is None:
            return
        try:  # even if disabled: the error may have been transient, and the run must not stay in state RUNNING
            self._client.set_terminated(self.run_id, status)
        except Exception as error:  # noqa: BLE001  see above
            self._disable("the run could not be ended", error)


@contextlib.contextmanager
def run(job_name: str, *, uri: str | None, experiment: str = EXPERIMENT, run_id: str | None = None) -> Iterator[Run]:
    """Context manager with the run of a job. It ends as FINISHED, or as FAILED if the block raises or sets `failed`.

    Args:
        job_name: name of the run.
        uri: tracking URI, such as `sqlite_uri(folder)` or `https://mlflow.example`; None: no tracking.
        experiment: name of the experiment, created if missing.
        run_id: the run to continue, of an earlier start of this job; a new one is created if the store lacks it.
    """
    record = Run(uri)
    record._start(job_name, experiment, run_id)
    try:
        yield record
    except BaseException as error:
        succeeded = isinstance(error, SystemExit) and not error.code
        record._end("FINISHED" if succeeded else "FAILED")
        raise
    record._end("FAILED" if record.failed else "FINISHED")


def _client(uri: str) -> MlflowClient:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow.store.db.utils"):  # they log each step of initialising a store
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _experiment(client: MlflowClient, name: str, uri: str) -> str:
    """Id of the experiment, created if missing. The look-up initialises a new store."""
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return str(existing.experiment_id)
    artifacts = (
        (Path(uri.removeprefix(_SQLITE)).resolve().parent / "mlruns").as_uri() if uri.startswith(_SQLITE) else None
    )
    return str(client.create_experiment(name, artifact_location=artifacts))


def _continue(client: MlflowClient, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        existing = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    if existing.info.lifecycle_stage != "active":
        return False
    client.update_run(run_id, status="RUNNING")
    return True


@contextlib.contextmanager
def _sole_access(uri: str) -> Iterator[None]:
    """Context manager with an exclusive lock on a SQLite store: MLflow's migrations do not support concurrency."""
    if not uri.startswith(_SQLITE):
        yield
        return
    database = Path(uri.removeprefix(_SQLITE))
    database.parent.mkdir(parents=True, exist_ok=True)
    with (database.parent / f".{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
