"""`zoetrope evaluate`: animations and their truth → the dataset of measures, and one table per model and setting."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from jobs.engine.config import JobConfig
from jobs.engine.console import Console
from jobs.engine.job import run_job
from jobs.engine.licences import check_licences
from jobs.engine.readiness import PUPPETS_HINT, check_ready
from jobs.engine.spec import Job, JobResult, Options
from jobs.report.evaluation import evaluate_report
from jobs.verbs.network_notices import has_gpu, network_notices, wants_gpu
from models.metrics.measures import MEASURES, SET_MEASURES
from models.metrics.protocols import PROTOCOLS, Protocol
from pipelines.engine.keys import pipeline_key, stage_keys
from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, columns_of
from pipelines.engine.schema import PAIR_COLUMNS, STAMPED_PAIR_COLUMNS
from pipelines.engine.steps import Workers
from pipelines.evaluation.pairs import COLUMN_PREFIX, DRIVING, pairs_of_results, pairs_of_table
from pipelines.evaluation.steps import (
    KEY_COLUMNS,
    WRITTEN,
    EvaluationConfig,
    MissingWeights,
    measures_of,
    networks_of,
    stages_of,
    steps,
    with_inputs,
)
from pipelines.evaluation.tables import (
    CSV,
    PARQUET,
    MeasuredValue,
    ModelTable,
    compute_tables,
    evaluation_tables,
    publish_tables,
)
from pipelines.requests import absolute_uri
from stages.backends.base import PEOPLE
from stages.io.storage import Storage

PAIRS = "_jobs/pairs.parquet"
MAX_PRINTED = 8
"""Maximum number of tables that the job prints at the end."""
MAX_METRIC_CHARS = 250


def evaluate(
    out: str,
    *,
    results: str | None = None,
    pairs: str | None = None,
    truth: str | None = None,
    protocol: str | None = None,
    measures: Sequence[str] = (),
    group_by: Sequence[str] = (),
    config: JobConfig,
    options: Options,
    console: Console,
) -> JobResult:
    """Measure every animation against its truth.

    Args:
        out: folder or URL of the dataset.
        results: dataset that `animate` wrote.
        pairs: Parquet or CSV table of pairs, in place of `results`.
        truth: see `pairs_of_results`; None: `driving`.
        protocol: name of a protocol, whose frame size and measures apply; the report shows its published values.
        measures: names of measures or of their stages; empty: those of the protocol, else all.
        group_by: columns whose values make the setting.
        config: job configuration.
        options: options of the run.
        console: output.

    Raises:
        ManifestError: invalid results or pairs.
        LicenceError: weights are not allowed.
        CheckpointError: a weights file is damaged or not allowed, or a trained network is missing. Missing published
            files are no error.
        ValueError: not exactly one of `results` and `pairs`, `truth` with `pairs`, an unknown measure or
            protocol, another frame size than the protocol's, or nothing that can be computed.
    """
    rules = None if protocol is None else find_protocol(protocol)
    if rules is not None:
        config = _with_size(config, rules)
    settings = config.evaluate
    wanted = stages_of(measures or (rules.measures if rules else ()))
    networks = networks_of(settings, with_inputs(wanted))
    workers = _workers(config, options, networks)
    check_ready(network for network in networks.values() if network.trained is not None)
    made = steps(settings, workers, wanted)
    missing = _missing_notices(made.missing, download=any(network.download for network in networks.values()))
    if not made.steps:
        raise ValueError(f"there is nothing to compute: {missing[0]}")
    used = networks_of(settings, [step.stage.name for step in made.steps])
    restrictions = check_licences(config.licence_check, networks=used.values())
    # Stages whose weights are missing occupy no GPU.
    workers = _workers(config, options, used)
    table = _pairs(results, pairs, truth, group_by, settings)
    storage = Storage(out)
    optional = {name: kind for name, kind in {**PAIR_COLUMNS, **STAMPED_PAIR_COLUMNS}.items() if name != "animation_id"}
    manifest = Manifest(
        url=storage.url_of(PAIRS),
        id_column="animation_id",
        required=columns_of(PAIR_COLUMNS, ("animation_id",)),
        optional=optional,
    )
    keys = stage_keys([step.stage for step in made.steps])
    job = Job(
        verb="evaluate",
        arguments={
            "out": out,
            "results": results and absolute_uri(results),
            "pairs": pairs and absolute_uri(pairs),
            "truth": _stored_truth(truth),
            "protocol": protocol,
            "measures": list(measures),
            "group_by": list(group_by),
        },
        out=out,
        manifest=manifest,
        id_column="animation_id",
        key_columns=KEY_COLUMNS,
        written=WRITTEN,
        steps=[dataclasses.replace(step, workers=workers[step.stage.name]) for step in made.steps],
        config=config,
        # Rows that share a driving video inspect it once.
        order_by=("truth_uri",),
        notices=(
            *_unfinished_notices(results),
            *network_notices(used, workers),
            *missing,
            *restrictions,
        ),
        table=table,
        finish=lambda ledger: _write_tables(ledger, manifest, keys),
        report=evaluate_report,
        artifacts=_artifacts,
        metrics=lambda ledger: table_metrics(evaluation_tables(ledger)),
    )
    return run_job(job, options, console)


def find_protocol(name: str) -> Protocol:
    """Protocol of this name. Raises ValueError if there is none."""
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol '{name}', expected one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _with_size(config: JobConfig, rules: Protocol) -> JobConfig:
    """The configuration with the frame size of a protocol."""
    frames, size_px = config.evaluate.frames, rules.size_px
    if size_px is None or frames.size_px == size_px:
        return config
    if frames.size_px is not None:
        raise ValueError(
            f"evaluate.frames.size_px is {frames.size_px}, but the protocol {rules.name} compares frames of {size_px}; "
            "leave one of them out"
        )
    frames = dataclasses.replace(frames, size_px=size_px)
    return dataclasses.replace(config, evaluate=dataclasses.replace(config.evaluate, frames=frames))


def _pairs(
    results: str | None, pairs: str | None, truth: str | None, group_by: Sequence[str], settings: EvaluationConfig
) -> pa.Table:
    schemes = settings.frames.decode.allowed_schemes
    if results is not None and pairs is None:
        return pairs_of_results(results, truth=truth or DRIVING, group_by=group_by, allowed_schemes=schemes)
    if pairs is not None and results is None:
        if truth is not None:
            raise ValueError("--truth goes with a dataset of results; a table of pairs names the truth in truth_uri")
        return pairs_of_table(pairs, group_by=group_by, allowed_schemes=schemes)
    raise ValueError("expected either a dataset of results, or --pairs with a table")


def _stored_truth(truth: str | None) -> str | None:
    """`truth` for another working directory."""
    is_folder = truth is not None and truth != DRIVING and not truth.startswith(COLUMN_PREFIX)
    return absolute_uri(truth) if truth is not None and is_folder else truth


def _workers(config: JobConfig, options: Options, networks: Mapping[str, Any]) -> dict[str, Workers]:
    """Workers by stage: on a local machine with a GPU, the stages from the first to the last network share one."""
    names = [field.name for field in dataclasses.fields(EvaluationConfig)]
    workers = config.workers_by_stage(names)
    indices = [names.index(name) for name, network in networks.items() if wants_gpu(network)]
    together = names[min(indices) : max(indices) + 1] if indices else []
    configured = config.workers.keys() & {*together, "default"}
    if together and not configured and options.ray_address is None and has_gpu():
        workers |= {name: dataclasses.replace(workers[name], gpus=1.0) for name in together}
    return workers


def _unfinished_notices(results: str | None) -> list[str]:
    """A notice if results hold rows that readers do not see yet."""
    num_parts = 0 if results is None else len(Ledger(Storage(results), "request_id").part_names())
    if not num_parts:
        return []
    return [f"{num_parts} rows of {results} are of an unfinished job and not compared; run it again, or `compact`."]


def _missing_notices(missing: Mapping[str, MissingWeights], *, download: bool) -> list[str]:
    """One notice for all measures whose weights are missing."""
    if not missing:
        return []
    named = "; ".join(
        f"{', '.join(measures_of([stage]))} ({', '.join(weights.entries)})" for stage, weights in missing.items()
    )
    reasons = dict.fromkeys(weights.message for weights in missing.values())
    remedy = (
        "; ".join(reasons)
        if download
        else "`zoetrope weights where NAME` says where a file belongs, and --download fetches what can be downloaded"
    )
    hint = f" {PUPPETS_HINT}." if any(PEOPLE in weights.entries for weights in missing.values()) else ""
    return [f"NOT COMPUTED for lack of weights: {named}. {remedy}.{hint}"]


def _write_tables(ledger: Ledger, manifest: Manifest, keys: Mapping[str, str]) -> Sequence[str]:
    tables = compute_tables(ledger, manifest, pipeline=pipeline_key(keys), stage_keys=keys)
    publish_tables(ledger, tables)
    lines = [line for table in tables[:MAX_PRINTED] for line in _table_lines(table)]
    if len(tables) > MAX_PRINTED:
        lines.append(f"… and {len(tables) - MAX_PRINTED} more")
    return [*lines, f"tables:  {ledger.storage.url_of(CSV)}"]


def _table_lines(table: ModelTable) -> Iterator[str]:
    yield f"{table.model}, {table.setting}: {table.ok} ok, {table.rejected} rejected, {table.failed} failed"
    for value in table.values:
        yield f"  {_line(value)}"


def _line(value: MeasuredValue) -> str:
    measure = MEASURES.get(value.name) or SET_MEASURES[value.name]
    unit = getattr(measure, "unit", "")
    parts = ["none" if value.value is None else f"{value.value:.4g}{' ' if unit else ''}{unit}"]
    if value.ci_low is not None and value.ci_high is not None:
        parts.append(f"[{value.ci_low:.4g}, {value.ci_high:.4g}]")
    if value.truth_value is not None:
        parts.append(f"truth {value.truth_value:.4g}")
    parts.append(f"n = {value.n}")
    if value.note:
        parts.append(f"({value.note})")
    return f"{measure.title:<24} {'  '.join(parts)}"


def table_metrics(tables: Sequence[ModelTable]) -> dict[str, float]:
    """Value by `model/setting/measure`, with characters that MLflow does not allow in names replaced by `_`."""
    metrics = {}
    for table in tables:
        head = "/".join(
            re.sub(r"[^A-Za-z0-9_.-]", "_", part).strip(".") or "_" for part in (table.model, table.setting)
        )
        for value in table.values:
            if value.value is not None:
                metrics[f"{head[: MAX_METRIC_CHARS - len(value.name) - 1]}/{value.name}"] = value.value
    return metrics


def _legal(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).strip(".") or "_"


def _artifacts(ledger: Ledger) -> Iterator[tuple[str, bytes]]:
    for name in (PARQUET, CSV):
        if ledger.storage.exists(name):
            yield f"tables/{name.rsplit('/', 1)[-1]}", ledger.storage.read(name)
