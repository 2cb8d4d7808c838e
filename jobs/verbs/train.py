"""`zoetrope train MODEL`: the dataset `prepared` → checkpoints."""

from __future__ import annotations

import contextlib
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from jobs.engine import tracking
from jobs.engine.code_version import code_version
from jobs.engine.config import flattened, resolved
from jobs.engine.console import LOG_EVERY_SECONDS, Console, duration
from jobs.engine.licences import check_licences
from jobs.engine.ray_runtime import cluster
from jobs.engine.run_file import earlier_run, publish_run
from jobs.engine.spec import JobResult, Options
from jobs.training.account import SAME_COMMAND, steps_done
from jobs.training.announcement import announce, dry_run
from jobs.training.checkpoints import CheckpointStore
from jobs.training.config import TrainConfig
from jobs.training.data import data_key, face_form, open_data
from jobs.training.events import Diverged, Event, Measured, PassedOver, Progress, Sample, Saved, Started
from jobs.training.ray_workers import TrainingFailedError, demands, train_on_ray
from jobs.training.run_files import CheckpointRecord
from jobs.training.start import published_weights, runs_of, weights_behind
from jobs.training.worker import RunSpec, train_worker
from models.training.parallel import World
from pipelines.engine.keys import digest
from pipelines.engine.lock import dataset_lock
from pipelines.engine.resources import MissingResourcesError, await_resources
from pipelines.training.batches import SampleSource, local_batches
from pipelines.training.samples import UnusableClipError
from pipelines.training.stored_features import StoredFeatures, stored_features
from stages.io.storage import Storage
from stages.redact import redact_text


def train(
    prepared: str,
    out: str,
    *,
    config: TrainConfig,
    start_from: str | None = None,
    options: Options,
    console: Console,
) -> JobResult:
    """Train the model of `config`.

    After a kill at any moment, the same call resumes from the last checkpoint in `out`, with the samples and losses of
    an uninterrupted run.

    Args:
        prepared: the dataset that `prepare` wrote; rows with status ok are used.
        out: folder or URL for checkpoints, curves and videos.
        config: model, recipe and workers.
        start_from: initial weights (`jobs.training.start.starting_network`); None: random weights.
        options: options of the run.
        console: output.

    Raises:
        TrainingDataError, ConfigError, CheckpointError, LicenceError, DatasetBusyError, ValueError: wrong usage;
            nothing was started.
    """
    job_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    storage = Storage(out)
    recipe = config.recipe
    variant, system = config.model.model.variant, config.model.model.system
    signals = {name: signal for name, signal in system.signals.items() if name in variant.needs}
    for restriction in check_licences(config.licence_check, weights=weights_behind(start_from, config.model)):
        console.notice(restriction)
    with contextlib.nullcontext() if options.dry_run else dataset_lock(storage, job_id):
        store = CheckpointStore(storage)
        if not options.dry_run:
            store.sweep()
        corpus = open_data(prepared, config, limit=options.limit)
        latest = store.latest()
        stored = stored_features(
            corpus,
            recipe.sampling,
            config.model.encoder_digests,
            reference_pictures=variant.reads_reference_picture,
            signals=signals.values(),
        )
        facts = {
            "recipe_key": _recipe_key(config, start_from),
            "dataset_digest": corpus.digest,
            "stored_features": isinstance(stored, StoredFeatures),
            "code_version": code_version(),
        }
        _check_same_run(latest, facts, out)
        announce(console, corpus, config, latest, stored)
        if options.dry_run:
            return dry_run(console, latest, recipe.steps, num_clips=len(corpus.clips))
        spec = RunSpec(
            config=config,
            source=SampleSource(
                corpus=corpus,
                sampling=recipe.sampling,
                config=config.data,
                preset=recipe.sampling.pose_preset or variant.config.pose_preset,
                seed=recipe.seed,
                stored=stored if isinstance(stored, StoredFeatures) else None,
                signals=signals,
                face_form=face_form(config),
            ),
            out=storage.url,
            start_from=start_from,
            facts=facts,
            started_from=[weights.name for weights in published_weights(start_from, config.model)],
            earlier_runs=runs_of(start_from, config.model),
        )
        with tracking.run(
            "train",
            uri=options.tracking_uri or tracking.sqlite_uri(Path()),
            out=storage.url,
            experiment=options.experiment,
            run_id=earlier_run(storage),
            on_start=lambda run_id: publish_run(storage, run_id),
        ) as record:
            record.params(
                {
                    "verb": f"train {config.model.name}",
                    "out": out,
                    "stage": recipe.stage,
                    "start_from": start_from,
                    **facts,
                }
            )
            settings = resolved(config)
            record.params(flattened({name: settings[name] for name in ("recipe", "data", "workers")}))
            record.config(settings)
            record.manifest(prepared, digest=corpus.digest, num_rows=len(corpus.clips))
            monitor = _Monitor(storage, record, console, config)
            try:
                error = _run(spec, options, monitor, console)
            except KeyboardInterrupt:
                console.line(f"{monitor.account(store.latest())}; {SAME_COMMAND}")
                raise
            record.failed = error is not None
    return _close(monitor, error, store, record, console, job_id)


def _recipe_key(config: TrainConfig, start_from: str | None) -> str:
    """Digest of all settings that a resumed run must share with the run that it resumes."""
    return digest([config.recipe, config.model, start_from, *data_key(config)])


def _run(spec: RunSpec, options: Options, monitor: _Monitor, console: Console) -> str | None:
    """Train; returns an error message, or None."""
    workers = spec.config.workers
    try:
        if workers.num == 0:
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            train_worker(spec, World(device=device), local_batches, monitor)
        else:
            with cluster(options.ray_address):
                await_resources(
                    demands(spec.config),
                    may_grow=options.ray_address is not None,
                    limit_seconds=workers.wait_for_resources_seconds,
                    limit="workers.wait_for_resources_seconds",
                    report=console.line,
                )
                train_on_ray(spec, workers, monitor)
    except (UnusableClipError, TrainingFailedError, MissingResourcesError) as error:
        return str(error)
    except OSError as error:
        return f"{error}; make room or fix its permissions, and run the same command again"
    return monitor.diverged


class _Monitor:
    """Receives the events of a run, keeps its state, and forwards them to MLflow and the console."""

    def __init__(self, storage: Storage, record: tracking.Run, console: Console, config: TrainConfig) -> None:
        self._storage, self._record, self._console = storage, record, console
        self._model, self._steps = config.model.name, config.recipe.steps
        self._began = time.perf_counter()
        self._logged_at = float("-inf")
        self.first_step: int | None = None
        self.step = 0
        self.metrics: dict[str, float] = {}
        self._figures: dict[str, str] = {}
        self.diverged: str | None = None

    @property
    def seconds(self) -> float:
        """Time since the start of the job."""
        return time.perf_counter() - self._began

    def account(self, latest: CheckpointRecord | None) -> str:
        """Closing line: steps done, last figures, time, and the last checkpoint of an unfinished run."""
        step = max(self.step, self.first_step or 0, 0 if latest is None else latest.step)
        done = steps_done(step, self._steps, self._figures)
        line = f"train {self._model}: {done}; {duration(self.seconds)}"
        if latest is None:
            return f"{line}; no checkpoint yet"
        if latest.step == self._steps:
            return line
        return f"{line}; checkpoint of step {latest.step}: {self._storage.url_of(latest.weights)}"

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self.first_step = event.step if self.first_step is None else self.first_step
                self._console.line(
                    f"  {event.num_trainable / 1e6:.2f} of {event.num_all / 1e6:.2f} million parameters are trained; "
                    + (f"continuing after step {event.step}" if event.step else "from the start")
                )
            case PassedOver():
                for damage in event.damage:
                    self._console.notice(f"{damage}; continuing from the checkpoint of step {event.step}")
            case Progress():
                self.step, self.metrics = event.step, dict(event.metrics)
                self._figures["loss"] = f"{event.metrics['loss']:.4f}"
                self._record.metrics(event.metrics, step=event.step)
                if time.monotonic() - self._logged_at >= LOG_EVERY_SECONDS or event.step == self._steps:
                    self._logged_at = time.monotonic()
                    self._console.line(event.line(self._steps))
            case Saved():
                self._console.line(f"  step {event.step}: {self._storage.url_of(event.weights)}")
            case Sample():
                self._record.file(event.name, self._storage.read(event.name))
            case Measured():
                metrics = {f"heldout_{name}": value for name, value in event.metrics.items()}
                self.metrics |= metrics
                self._record.metrics(metrics, step=event.step)
                self._figures["held-out PSNR"] = f"{event.metrics['psnr_db']:.2f} dB"
                self._console.line(f"  step {event.step}: held-out PSNR {self._figures['held-out PSNR']}")
            case Diverged():
                self.diverged = event.message


def _check_same_run(latest: CheckpointRecord | None, facts: dict[str, Any], out: str) -> None:
    """Check that the arguments are those of the run to be resumed. Raises ValueError."""
    if latest is None:
        return
    for fact, change in (
        (
            "recipe_key",
            "with another recipe, model, --start-from, ground truth, scenery, faces or number of held-out clips",
        ),
        ("dataset_digest", "on another snapshot of the dataset (or another --limit)"),
        ("stored_features", "with features read where they are now computed, or computed where they are now read"),
    ):
        # Runs of versions without stored features lack the fact.
        if latest.facts.get(fact, False) != facts[fact]:
            raise ValueError(
                f"{out} holds a run that was begun {change}; give this one another --out, and --start-from {out} to "
                "begin with its weights"
            )


def _close(
    monitor: _Monitor, error: str | None, store: CheckpointStore, record: tracking.Run, console: Console, job_id: str
) -> JobResult:
    latest = store.latest()
    weights = store.storage.url_of(latest.weights) if latest else None
    if latest:
        console.line(f"weights: {weights} (step {latest.step})")
    if record.run_id:
        console.line(f"mlflow:  {redact_text(record.uri or '')} run {record.run_id}")
    if error:
        remaining = f"the last good checkpoint is {weights}" if latest else "there is no checkpoint yet"
        console.error(f"{error}; {remaining}")
    console.line(monitor.account(latest))
    summary = {
        "verb": "train",
        "job_id": job_id,
        "step": latest.step if latest else 0,
        "first_step": monitor.first_step,
        "seconds": round(monitor.seconds, 3),
        **monitor.metrics,
        "weights": weights,
        "mlflow_run_id": record.run_id,
        "error": error,
        "exit_code": int(error is not None),
    }
    return JobResult(exit_code=int(error is not None), summary=summary)
