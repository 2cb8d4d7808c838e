"""Records jobs in MLflow. The only module that imports it, and nothing it does can fail a job.

One run per job, written from the driver alone; a job that is started again continues its run. The default store is a
SQLite file. Only one process at a time can set up a fresh one, so `run` is entered before anything else touches it.
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

from jobs.engine.redact import redact, redact_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

EXPERIMENT = "zoetrope"
MAX_PARAM_CHARS = 6000
_SQLITE = "sqlite:///"
# Set before MLflow is imported, unless the user has: a server that is down must cost seconds and not minutes, and
# nothing is reported to anyone.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def sqlite_uri(folder: Path) -> str:
    """Tracking URI of the store in `folder`: `mlflow.db`, with the artifacts beside it in `mlruns`."""
    return f"{_SQLITE}{folder.resolve() / 'mlflow.db'}"


class Run:
    """The record of one job. Each method logs one thing; the first that fails switches the rest off, with a warning."""

    def __init__(self, uri: str | None) -> None:
        self.uri = uri
        """Tracking URI; None if the job is not recorded."""
        self.run_id: str | None = None
        """To be kept with the job's output, and given to `run` when the job is started again. None if not recorded."""
        self.failed = False
        """To be set by a job that ends without raising, but not well: too many rows failed."""
        self._client: MlflowClient | None = None
        self._gave_up = False

    def params(self, params: Mapping[str, Any]) -> None:
        """Log a few parameters. In MLflow they cannot change: a new value in a continued run becomes a tag."""
        values = {name: str(value)[:MAX_PARAM_CHARS] for name, value in redact(params).items()}

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Param, RunTag

            known = client.get_run(run_id).data.params
            new = [Param(name, value) for name, value in values.items() if name not in known]
            changed = {name: value for name, value in values.items() if known.get(name, value) != value}
            tags = [RunTag(f"resumed_with.{name}", value) for name, value in changed.items()]
            client.log_batch(run_id, params=new, tags=tags)

        self._attempt("parameters", write)

    def config(self, config: Mapping[str, Any]) -> None:
        """Log the resolved configuration as the artifact `config.yaml`."""
        resolved = redact(config)
        self._attempt("the configuration", lambda client, run_id: client.log_dict(run_id, resolved, "config.yaml"))

    def metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Log numbers: counts, throughput."""

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Metric

            now_ms = int(time.time() * 1000)
            client.log_batch(run_id, [Metric(name, float(value), now_ms, step) for name, value in metrics.items()])

        self._attempt("metrics", write)

    def manifest(self, uri: str, *, digest: str, num_rows: int) -> None:
        """Log which dataset went in. `digest`: of its content, such as `sha256:…`."""

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Dataset, DatasetInput

            dataset = Dataset(
                name=uri.rstrip("/").rsplit("/", 1)[-1][:500] or "manifest",
                digest=digest.removeprefix("sha256:")[:36],  # the column has no room for more
                source_type=urlsplit(uri).scheme or "local",
                source=json.dumps({"uri": redact_text(uri)}),
                profile=json.dumps({"num_rows": num_rows, "digest": digest}),
            )
            client.log_inputs(run_id, [DatasetInput(dataset)])

        self._attempt("the manifest", write)

    def file(self, name: str, data: bytes) -> None:
        """Log a file as the artifact `name`, which may name folders: `sheets/clip-1.webp`."""

        def write(client: MlflowClient, run_id: str) -> None:
            folder, _, leaf = name.rpartition("/")
            with tempfile.TemporaryDirectory() as temporary:
                path = Path(temporary) / leaf
                path.write_bytes(data)
                client.log_artifact(run_id, str(path), folder or None)

        self._attempt(f"'{name}'", write)

    def _attempt(self, what: str, write: Callable[[MlflowClient, str], None]) -> None:
        if self._client is None or self.run_id is None or self._gave_up:
            return
        try:
            write(self._client, self.run_id)
        except Exception as error:  # noqa: BLE001  whatever is wrong with MLflow, the job goes on
            self._give_up(f"logging {what} failed", error)

    def _give_up(self, what: str, error: Exception) -> None:
        if self._gave_up:
            return
        self._gave_up = True
        cause = f"{type(error).__name__}: {redact_text(str(error)).strip()}".split("\n", 1)[0][:300]
        log.warning("MLflow at %s: %s (%s); the job goes on without it", redact_text(self.uri or ""), what, cause)

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
            self._give_up("no run could be started", error)

    def _end(self, status: str) -> None:
        if self._client is None or self.run_id is None:
            return
        try:  # even after a failure: it may have been a passing one, and an ended job must not look like a running one
            self._client.set_terminated(self.run_id, status)
        except Exception as error:  # noqa: BLE001  see above
            self._give_up("the run could not be ended", error)


@contextlib.contextmanager
def run(job_name: str, *, uri: str | None, experiment: str = EXPERIMENT, run_id: str | None = None) -> Iterator[Run]:
    """A run for one job, which ends as FINISHED, or as FAILED if the block raises or sets `failed`.

    Args:
        job_name: the name of the run.
        uri: tracking URI, such as `sqlite_uri(folder)` or `https://mlflow.example`; None: the job is not recorded.
        experiment: made if it does not exist.
        run_id: the run of an earlier start of this job, to be continued; a new one is made if the store lacks it.
    """
    record = Run(uri)
    record._start(job_name, experiment, run_id)
    try:
        yield record
    except BaseException as error:
        left_well = isinstance(error, SystemExit) and not error.code
        record._end("FINISHED" if left_well else "FAILED")
        raise
    record._end("FAILED" if record.failed else "FINISHED")


def _client(uri: str) -> MlflowClient:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow.store.db.utils"):  # they announce every step of setting up a fresh store
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _experiment(client: MlflowClient, name: str, uri: str) -> str:
    """Id of the experiment; looking for it is also what sets a fresh store up."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    artifacts = (
        (Path(uri.removeprefix(_SQLITE)).resolve().parent / "mlruns").as_uri() if uri.startswith(_SQLITE) else None
    )
    return str(client.create_experiment(name, artifact_location=artifacts))


def _continue(client: MlflowClient, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    if found.info.lifecycle_stage != "active":
        return False
    client.update_run(run_id, status="RUNNING")
    return True


@contextlib.contextmanager
def _sole_access(uri: str) -> Iterator[None]:
    """Keeps other jobs of this machine away while a SQLite store is set up: MLflow's migrations cannot share it."""
    if not uri.startswith(_SQLITE):
        yield
        return
    database = Path(uri.removeprefix(_SQLITE))
    database.parent.mkdir(parents=True, exist_ok=True)
    with (database.parent / f".{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
