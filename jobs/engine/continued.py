"""Job files of jobs that continue a dataset: a default that has changed since does not change its networks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from jobs.engine.config import ConfigError, JobConfig, expanded, validated
from jobs.engine.last_job import ID_COLUMNS, LAST_JOB
from jobs.engine.presets import PRESETS, SECTIONS
from models.weights.local import is_path
from pipelines.engine.explain import recorded_settings
from pipelines.engine.snapshot import LedgerSnapshot
from stages.io.storage import Storage


def load_continuing(verb: str, out: str, path: Path | None, assignments: Sequence[str]) -> JobConfig:
    """Load the configuration of a job that may continue the dataset `out`, as `jobs.engine.config.load` does.

    Raises:
        ConfigError: as `load` does; or rows of the dataset were made by another backend than the default, or by a
            trained network, and neither the job file nor an assignment names one.
        ValueError: an unknown preset.
    """
    values = expanded(path, assignments)
    config = validated(values, JobConfig)
    named = values.get(verb, {})
    defaults = {
        section: str(getattr(getattr(config, verb), section).backend)
        for section in SECTIONS[verb]
        if "backend" not in named.get(section, {})
    }
    storage = Storage(out)
    last = _of_last_job(storage, verb)
    trained = {section: model for section, (_, model) in last.items() if model is not None and is_path(model)}
    # The record of the last job spares reading the rows, unless it differs or there is none.
    unsure = {section: backend for section, backend in defaults.items() if (backend, None) != last.get(section)}
    made_by = _of_rows(LedgerSnapshot(storage, ID_COLUMNS[verb])) if unsure else {}
    others = {
        section: min(made_by[section])
        for section, backend in unsure.items()
        if made_by.get(section) and (backend not in made_by[section] or section in trained)
    }
    if others:
        places = {section: place for section, place in trained.items() if section in others}
        raise ConfigError(_message(verb, out, others, defaults, places))
    return config


def _of_last_job(storage: Storage, verb: str) -> dict[str, tuple[str, str | None]]:
    """Backend and model by section; empty if no job was recorded."""
    try:
        config = json.loads(storage.read(LAST_JOB))["config"][verb]
        sections = {section: config[section] for section in SECTIONS[verb] if section in config}
        return {section: (each["backend"], each.get("model")) for section, each in sections.items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # no job yet, or its record is cut short
        return {}


def _of_rows(ledger: LedgerSnapshot) -> dict[str, set[str]]:
    """Backends by stage, which has the name of its section."""
    with duckdb.connect() as connection:
        return {
            stage: {str(one["backend"]) for one in settings if "backend" in one}
            for stage, settings in recorded_settings(ledger, connection).items()
        }


def _message(
    verb: str, out: str, others: Mapping[str, str], defaults: Mapping[str, str], places: Mapping[str, str]
) -> str:
    networks = {
        section: f"{backend}@{places[section]}" if section in places else backend for section, backend in others.items()
    }
    differences = ", ".join(f"{section} by {network}, now {defaults[section]}" for section, network in networks.items())
    return (
        f"the rows of {out} were made by other networks than the default ({differences}); to go on as before, "
        f"{_as_before(verb, others, places)}; to make them again, --preset people"
    )


def _as_before(verb: str, others: Mapping[str, str], places: Mapping[str, str]) -> str:
    """The shortest option that names the backends, and trained networks by their places."""
    if places:
        named = {**others, **places}
        if len(set(named.values())) == 1 and len(named) > 1:
            return f"--preset {next(iter(places.values()))}"
        keys = {section: "model" if section in places else "backend" for section in named}
        return " ".join(f"--set {verb}.{section}.{keys[section]}={value}" for section, value in named.items())
    signals = {SECTIONS[verb][section]: backend for section, backend in others.items()}
    for name, backends in PRESETS.items():
        if backends.items() >= signals.items():
            return f"--preset {name}"
    return " ".join(f"--set {verb}.{section}.backend={backend}" for section, backend in others.items())
