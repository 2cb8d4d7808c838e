"""Tracking of jobs with MLflow. Errors of MLflow are logged and never fail a job.

Only this module imports MLflow. One run per job, written by a thread of the driver, so that neither the import of
MLflow, which takes seconds, nor a slow server holds up the job; a job that is started again continues its run. The
default store is a SQLite file, which only one process at a time can initialise.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jobs.engine.sqlite_store import sole_access
from stages.redact import redact, redact_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

EXPERIMENT = "zoetrope"
MAX_PARAM_CHARS = 6000
MAX_METRICS_PER_BATCH = 1000
"""Limit of MLflow."""
MAX_WAITING = 64
"""Maximum number of records that wait for a slow server; beyond it the job waits, which bounds its memory."""
ABORT_SECONDS = 5.0
"""Maximum time to wait for MLflow after an error or an interrupt."""
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


def run_name(verb: str, out: str | None) -> str:
    """Name of a run: verb, the last two folders of the dataset, and local time."""
    folder = "/".join((out or "").rstrip("/").rsplit("/", 2)[-2:])
    return " ".join(part for part in (verb, redact_text(folder), f"{datetime.now():%Y-%m-%d %H:%M:%S}") if part)  # noqa: DTZ005


class Run:
    """MLflow run of one job. The first failed call disables the others; a warning about it is logged at the end.

    Records are written in order by a thread. Only `run_id` waits for it. The thread logs nothing itself, since the job
    discards stderr while Ray starts.
    """

    def __init__(self, uri: str | None) -> None:
        self.uri = uri
        """Tracking URI; None: not tracked."""
        self.failed = False
        """Set by a job that fails without raising, such as for too many failed rows."""
        self._run_id: str | None = None
        self._client: MlflowClient | None = None
        self._disabled = self._ended = False
        self._warning: str | None = None
        self._started = threading.Event()
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None

    @property
    def run_id(self) -> str | None:
        """Run id, to pass to `run` when the job is started again; waits until the run is there. None if not tracked."""
        if self._thread is not None:
            self._started.wait()
        return self._run_id

    @property
    def complete(self) -> bool:
        """Whether everything was written. False before the run has ended."""
        return self._client is not None and not self._disabled and self._ended

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
        now_ms = int(time.time() * 1000)
        values = [(name, float(value)) for name, value in metrics.items()]

        def write(client: MlflowClient, run_id: str) -> None:
            from mlflow.entities import Metric

            entries = [Metric(name, value, now_ms, step) for name, value in values]
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
        if self._thread is not None and not self._disabled:
            self._tasks.put(lambda: self._write(action, write))

    def _write(self, action: str, write: Callable[[MlflowClient, str], None]) -> None:
        if self._client is None or self._run_id is None or self._disabled:
            return
        try:
            write(self._client, self._run_id)
        except Exception as error:  # noqa: BLE001  no error of MLflow fails the job
            self._disable(f"logging {action} failed", error)

    def _disable(self, problem: str, error: Exception) -> None:
        if self._disabled:
            return
        self._disabled = True
        cause = f"{type(error).__name__}: {redact_text(str(error)).strip()}".split("\n", 1)[0][:300]
        self._warning = f"MLflow at {redact_text(self.uri or '')}: {problem} ({cause}); the job goes on without it"

    def _start(
        self, job_name: str, out: str | None, experiment: str, run_id: str | None, on_start: Callable[[str], None]
    ) -> None:
        """Start the thread that starts the run and then writes what comes."""
        if self.uri is None:
            self._run_id = run_id
            return
        uri, name = self.uri, run_name(job_name, out)

        def start() -> str:
            with sole_access(_database(uri)):
                client = _client(uri)
                experiment_id = _experiment(client, experiment, uri)
            if run_id is not None and _continue(client, run_id):
                started = run_id
            else:
                tags = {"zoetrope.job": job_name}
                started = str(client.create_run(experiment_id, run_name=name, tags=tags).info.run_id)
            self._client, self._run_id = client, started
            return started

        def work() -> None:
            try:
                on_start(start())
            except Exception as error:  # noqa: BLE001  no error of MLflow fails the job
                self._disable("no run could be started", error)
            finally:
                self._started.set()
            while (task := self._tasks.get()) is not None:
                task()

        self._thread = threading.Thread(target=work, name="mlflow", daemon=True)
        self._thread.start()

    def _end(self, status: str, *, timeout_seconds: float | None = None) -> None:
        """Wait until everything is written, and end the run."""
        if self._thread is None:
            return
        try:
            self._tasks.put(lambda: self._terminate(status), timeout=timeout_seconds)
            self._tasks.put(None, timeout=timeout_seconds)
        except queue.Full:
            pass
        else:
            self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            self._disable("the run could not be ended", TimeoutError(f"no answer within {timeout_seconds:g} s"))
            self._started.set()
        if self._warning is not None:
            log.warning("%s", self._warning)

    def _terminate(self, status: str) -> None:
        if self._client is None or self._run_id is None:
            return
        try:  # even if disabled: the error may have been transient, and the run must not stay in state RUNNING
            self._client.set_terminated(self._run_id, status)
            self._ended = True
        except Exception as error:  # noqa: BLE001  see above
            self._disable("the run could not be ended", error)


@contextlib.contextmanager
def run(
    job_name: str,
    *,
    uri: str | None,
    out: str | None = None,
    experiment: str = EXPERIMENT,
    run_id: str | None = None,
    on_start: Callable[[str], None] = lambda _: None,
) -> Iterator[Run]:
    """Context manager with the run of a job. It ends as FINISHED, or as FAILED if the block raises or sets `failed`.

    Args:
        job_name: the verb, first word of the name of the run.
        uri: tracking URI, such as `sqlite_uri(folder)` or `https://mlflow.example`; None: no tracking.
        out: the dataset, for the name of the run.
        experiment: name of the experiment, created if missing.
        run_id: the run to continue, of an earlier start of this job; a new one is created if the store lacks it, and it
            stays as it is without `uri`.
        on_start: called with the run id, in the thread, as soon as the run is there.
    """
    record = Run(uri)
    record._start(job_name, out, experiment, run_id, on_start)
    try:
        yield record
    except BaseException as error:
        succeeded = isinstance(error, SystemExit) and not error.code
        record._end("FINISHED" if succeeded else "FAILED", timeout_seconds=ABORT_SECONDS)
        raise
    record._end("FAILED" if record.failed else "FINISHED")


def _client(uri: str) -> MlflowClient:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow.store.db.utils"):  # they log each step of initialising a store
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def _experiment(client: MlflowClient, name: str, uri: str) -> str:
    """Id of the experiment, created if missing. The look-up initialises a new store."""
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return str(existing.experiment_id)
    database = _database(uri)
    artifacts = None if database is None else (database.resolve().parent / "mlruns").as_uri()
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
