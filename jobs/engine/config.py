"""Job files: loading, assignments from the command line, and validation."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from jobs.engine.licences import LicenceCheck
from jobs.engine.locations import absolute_settings
from jobs.engine.presets import expand
from pipelines.animate import AnimationConfig
from pipelines.engine.runner import RunLimits
from pipelines.engine.steps import Workers
from pipelines.evaluation.steps import EvaluationConfig
from pipelines.ingest import IngestConfig
from pipelines.prepare import PrepareConfig

ConfigT = TypeVar("ConfigT")


class ConfigError(ValueError):
    """Invalid job file or `--set` assignment. The message names the key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobConfig:
    """Contents of a job file. Each verb reads its own section.

    Args:
        ingest, prepare, animate, evaluate: settings of the stages.
        workers: workers by stage name; `default` applies to stages not listed.
        limits: limits of the job.
        licence_check: "commercial" refuses weights that may not be used commercially; "any": none are refused.
    """

    ingest: IngestConfig = field(default_factory=IngestConfig)
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    animate: AnimationConfig = field(default_factory=AnimationConfig)
    evaluate: EvaluationConfig = field(default_factory=EvaluationConfig)
    workers: dict[str, Workers] = field(default_factory=dict)
    limits: RunLimits = field(default_factory=RunLimits)
    licence_check: LicenceCheck = "any"

    def workers_by_stage(self, names: Sequence[str]) -> dict[str, Workers]:
        """Workers by stage for all `names`. Raises ConfigError if workers are set for a stage not in `names`."""
        keys = [*names, "default"]
        if unknown := sorted(set(self.workers) - set(keys)):
            raise ConfigError(f"workers.{unknown[0]}: no such stage{_hint(unknown[0], keys)}")
        default = self.workers.get("default", Workers())
        return {name: self.workers.get(name, default) for name in names}


def load(path: Path | None, assignments: Sequence[str] = ()) -> JobConfig:
    """Load the job file at `path` (YAML, all keys optional) and apply `key.key=value` assignments.

    Raises:
        ConfigError: a missing file, a file that is no YAML mapping, an unknown key, or a value of the wrong type or
            range.
        ValueError: an unknown preset.
    """
    return validated(expanded(path, assignments), JobConfig)


def expanded(path: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    """Plain values of a job file with assignments, presets expanded; not yet validated.

    Raises:
        ConfigError: as `read` does.
        ValueError: an unknown preset.
    """
    values = read(path, assignments, JobConfig)
    expand(values)
    return values


def read(path: Path | None, assignments: Sequence[str], kind: type[Any]) -> dict[str, Any]:
    """Read a YAML file and apply assignments; returns plain values, not yet validated against the dataclass `kind`.

    Paths are made absolute, from the current folder.

    Raises:
        ConfigError: a missing file, a file that is no YAML mapping, or a malformed assignment.
    """
    values: dict[str, Any] = {} if path is None else _read(path, kind)
    for assignment in assignments:
        _assign(values, assignment)
    return absolute_settings(values)


def validated(values: Mapping[str, Any], kind: type[ConfigT]) -> ConfigT:
    """Construct the dataclass `kind` from plain values.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type or range.
    """
    _refuse_unknown(values, kind, "")
    try:
        return pydantic.TypeAdapter(kind).validate_python(values)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{where}: got {first['input']!r:.80}; {first['msg'].removeprefix('Value error, ')}"
        ) from error


def resolved(config: Any) -> dict[str, Any]:
    """Configuration as plain values, including defaults."""
    plain: dict[str, Any] = pydantic.TypeAdapter(type(config)).dump_python(config, mode="json")
    return plain


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key, as `--set` takes them."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping) and value
        flat |= flattened(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat


def changed_settings(config: JobConfig, verb: str) -> dict[str, Any]:
    """Settings of a verb, of workers and of limits that differ from the defaults, by dotted key."""
    given, defaults = (flattened(resolved(settings)) for settings in (config, JobConfig()))
    sections = (f"{verb}.", "workers.", "limits.", "licence_check")
    return {
        key: value
        for key, value in given.items()
        if key.startswith(sections) and (key not in defaults or defaults[key] != value)
    }


def _read(path: Path, kind: type[Any]) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the job file {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: got a {type(loaded).__name__}, expected a mapping with {_field_names(kind)}")
    return loaded


def _assign(values: dict[str, Any], assignment: str) -> None:
    key, separator, text = assignment.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {assignment}: expected key.key=value, as in --set prepare.decode.short_side_px=384")
    *parents, leaf = key.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {assignment}: {parent} is a value, it has no {leaf}")
        values = child
    try:
        values[leaf] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {assignment}: {text!r} is not a YAML value") from error


def _refuse_unknown(values: Any, kind: Any, where: str) -> None:
    """Raise ConfigError for keys of a nested mapping that are no fields of the dataclass `kind`."""
    # Not pydantic's `extra="forbid"`: TypeAdapter accepts no config for dataclasses, so each one, in all layers, would
    # have to declare it, and the hint needs the field names of the nested class, which the error does not contain.
    if type(None) in typing.get_args(kind):
        (kind,) = (other for other in typing.get_args(kind) if other is not type(None))
    if typing.get_origin(kind) is dict and isinstance(values, Mapping):
        for name, value in values.items():
            _refuse_unknown(value, typing.get_args(kind)[1], f"{where}{name}.")
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(values, Mapping)):
        return
    hints = typing.get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            raise ConfigError(f"{where}{name}: no such key{_hint(str(name), list(hints))}")
        _refuse_unknown(value, hints[name], f"{where}{name}.")


def _hint(name: str, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, choices, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(choices)}"


def _field_names(kind: Any) -> str:
    return ", ".join(f.name for f in dataclasses.fields(kind))
