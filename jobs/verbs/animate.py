"""`zoetrope animate`: `requests` → the dataset `results` and its videos."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from jobs.engine.config import JobConfig
from jobs.engine.console import Console, RowProgress
from jobs.engine.job import run_job
from jobs.engine.licences import check_licences
from jobs.engine.readiness import check_ready
from jobs.engine.spec import Job, JobResult, Options
from jobs.report.build import animate_report
from jobs.report.videos import videos_to_show
from jobs.training.requested_models import RequestedModels
from jobs.verbs.network_notices import has_gpu, network_notices, wants_gpu
from models.animation.system import Model
from models.systems import DEFAULT_MODEL, find_model, former_name_notice
from models.weights.local import is_path
from pipelines.animate import (
    KEY_COLUMNS,
    STAGE_NAMES,
    WRITTEN,
    AnimationConfig,
    scene_perception,
    scene_weights,
    steps,
)
from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, ManifestError, columns_of
from pipelines.engine.orphans import find_orphans, orphans_line
from pipelines.engine.schema import REQUEST_COLUMNS, RESOLVED_COLUMNS
from pipelines.engine.steps import Workers
from pipelines.requests import RequestDefaults, absolute_uri, one_request, requests_manifest, resolve
from stages.animate.diffusion import PROGRESS, AnimateStage
from stages.animate.keypoints import DrivingPoseStage, ReferencePoseStage
from stages.backends.base import BackendConfig
from stages.io.storage import Storage
from stages.outcome import Status

REQUESTS = "_jobs/requests.parquet"
MAX_NAMED = 5
"""Maximum number of rows for which the job lists its videos at the end."""
NUM_ARTIFACTS = 4
"""Number of videos logged to MLflow."""


def animate(
    out: str,
    *,
    requests: str | None = None,
    reference: str | None = None,
    driving: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    config: JobConfig,
    options: Options,
    console: Console,
) -> JobResult:
    """Generate a video for every request.

    Args:
        out: folder or URL of the dataset.
        requests: Parquet or CSV table of requests, or a folder of Parquet files.
        reference, driving: picture and video of a single request, in place of `requests`.
        defaults: fields of `RequestDefaults`, for requests that leave them empty.
        config: job configuration.
        options: options of the run.
        console: output.

    Raises:
        ManifestError: the requests are invalid.
        UnknownModelError: no model has the name in `defaults`.
        LicenceError, MissingWeightsError: weights are not allowed or missing.
        ValueError: not exactly one of `requests` and `reference` with `driving` is given.
    """
    given: Manifest | pa.Table
    if requests is not None and reference is None and driving is None:
        given = requests_manifest(requests)
    elif requests is None and reference is not None and driving is not None:
        given = one_request(reference, driving)
    else:
        raise ValueError("expected either a table of requests, or --reference and --driving")
    config = _with_model_folders(config)
    settings = config.animate
    values = {"model": DEFAULT_MODEL, **(defaults or {})}
    chosen = None if is_path(values["model"]) else find_model(values["model"]).name
    requested = RequestedModels(
        typed=values["model"], folders=settings.animate.model_folders, weights=settings.animate.weights
    )
    table = resolve(
        given,
        defaults=RequestDefaults(**values),
        describe=requested.describe,
        scene_weights=lambda: scene_weights(settings),
        reference_schemes=settings.reference.allowed_schemes,
        driving_schemes=settings.driving.decode.allowed_schemes,
    )
    models = requested.models
    storage = Storage(out)
    # A worker that dies loses its block, and an animation takes much longer than the overhead of a block.
    config = dataclasses.replace(config, limits=dataclasses.replace(config.limits, rows_per_block=1))
    optional = {**REQUEST_COLUMNS, **RESOLVED_COLUMNS}
    required = [optional.pop(name) and name for name in ("request_id", "reference_uri", "model", "seed")]
    networks = _networks(config, models)
    restrictions = check_licences(
        config.licence_check, networks=networks.values(), models=models.values(), weights=requested.trained_from
    )
    _check_ready(table, chosen, requested.published, networks, settings)
    workers = _workers(config, options, networks)
    job = Job(
        verb="animate",
        arguments={
            "out": out,
            "requests": requests,
            "reference": reference and absolute_uri(reference),
            "driving": driving and absolute_uri(driving),
            "defaults": dict(defaults or {}),
        },
        out=out,
        manifest=Manifest(
            url=storage.url_of(REQUESTS),
            id_column="request_id",
            required=columns_of(REQUEST_COLUMNS, required),
            optional=optional,
        ),
        id_column="request_id",
        key_columns=KEY_COLUMNS,
        written=WRITTEN,
        steps=steps(
            settings,
            workers,
            storage,
            models=requested.loadable,
            signals={name: signal for model in models.values() for name, signal in model.system.signals.items()},
            publish_progress=console.stream.isatty(),
        ),
        config=config,
        order_by=("model",),
        notices=(*_notices(requested.given, models, networks, workers), *restrictions),
        table=table,
        clean=lambda: _delete_progress(storage),
        progress=lambda: _progress(storage),
        finish=lambda ledger: [*_video_lines(ledger, table), *_orphan_lines(ledger)],
        report=animate_report,
        artifacts=_artifacts,
    )
    return run_job(job, options, console)


def _with_model_folders(config: JobConfig) -> JobConfig:
    """The configuration with absolute folders: `zoetrope retry` may run in another working directory."""
    stage = config.animate.animate
    stage = dataclasses.replace(stage, model_folders=tuple(str(Path(each).resolve()) for each in stage.model_folders))
    return dataclasses.replace(config, animate=dataclasses.replace(config.animate, animate=stage))


def _check_ready(
    table: pa.Table,
    chosen: str | None,
    models: Mapping[str, Model],
    networks: Mapping[str, BackendConfig],
    settings: AnimationConfig,
) -> None:
    """Check the weights of perception and of the model that the command line chooses.

    A request with a model of its own that cannot be loaded fails alone, unless none of the requests can run.

    Args:
        chosen: the model of the command line; None: a trained model, checked when it was described.
        models: all requested models that are not trained models.

    Raises:
        MissingWeightsError: weights are missing.
        ManifestError: no request names a model that exists.
    """
    runs = not table.num_rows or any(table.column("model_digest").to_pylist())
    checked = [model for name, model in models.items() if name == chosen or not runs]
    check_ready(networks.values(), checked, settings.animate.weights)
    if not runs:
        messages = {spec["message"] for spec in table.column("model_spec").to_pylist() if spec}
        raise ManifestError(f"no request can run: {'; '.join(sorted(filter(None, messages)))}")


def _workers(config: JobConfig, options: Options, networks: Mapping[str, BackendConfig]) -> dict[str, Workers]:
    workers = config.workers_by_stage(STAGE_NAMES)
    if AnimateStage.name not in config.workers and options.ray_address is None and has_gpu():
        # The model runs on this machine's GPU, and perception that needs one runs in the same worker. On a cluster the
        # job file declares resources.
        last = STAGE_NAMES.index(AnimateStage.name)
        perception = [STAGE_NAMES.index(name) for name, network in networks.items() if wants_gpu(network)]
        fused = STAGE_NAMES[min([*perception, last]) : last + 1]
        if config.workers.keys() & set(fused):
            fused = STAGE_NAMES[last : last + 1]
        workers |= {name: dataclasses.replace(workers[name], gpus=1.0) for name in fused}
    return workers


def _networks(config: JobConfig, models: Mapping[str, Model]) -> dict[str, BackendConfig]:
    """Perception networks that the job uses, by stage."""
    poses: dict[str, BackendConfig] = {
        ReferencePoseStage.name: config.animate.reference_pose,
        DrivingPoseStage.name: config.animate.driving_pose,
    }
    keeps_scene = any(model.variant.keeps_scene for model in models.values())
    return poses | (scene_perception(config.animate) if keeps_scene else {})


def _notices(
    given_names: Iterable[str],
    models: Mapping[str, Model],
    networks: Mapping[str, BackendConfig],
    workers: Mapping[str, Workers],
) -> list[str]:
    renamed = [former_name_notice(name) for name in given_names]
    notices = [model.variant.notice for model in models.values()]
    network = network_notices(networks, workers)
    return list(dict.fromkeys(notice for notice in (*renamed, *notices, *network) if notice is not None))


def _delete_progress(storage: Storage) -> None:
    for leftover in storage.names(PROGRESS):  # from killed workers
        storage.delete(leftover)


def _progress(storage: Storage) -> list[RowProgress]:
    progress = []
    for name in storage.names(PROGRESS, ".json"):
        try:
            state = json.loads(storage.read(name))
        except FileNotFoundError:  # the row has finished
            continue
        progress.append(RowProgress(row_id=state["request_id"], done=state["step"], total=state["num_steps"]))
    return progress


def _video_lines(ledger: Ledger, table: pa.Table) -> Sequence[str]:
    if table.num_rows > MAX_NAMED:
        return ()
    ids = table.column("request_id").to_pylist()
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        query = f"SELECT video_uri FROM {relation} WHERE status = ? AND list_contains(?, request_id) ORDER BY 1"  # noqa: S608
        names = connection.execute(query, [Status.OK, ids]).fetchall() if relation else []
    return [f"video:   {ledger.storage.url_of(name)}" for (name,) in names]


def _orphan_lines(ledger: Ledger) -> Sequence[str]:
    orphans = find_orphans(ledger)
    return [orphans_line(orphans, ledger.storage.url)] if orphans else ()


def _artifacts(ledger: Ledger) -> Iterator[tuple[str, bytes]]:
    for row in videos_to_show(ledger, NUM_ARTIFACTS):
        yield f"videos/{row.request_id}.mp4", row.mp4
