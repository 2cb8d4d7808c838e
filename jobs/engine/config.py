"""Job files: what a person writes, checked as a whole before anything starts."""

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

from jobs.engine.presets import expand
from pipelines.animate import AnimationConfig
from pipelines.engine.runner import RunLimits
from pipelines.engine.steps import Workers
from pipelines.ingest import IngestConfig
from pipelines.prepare import PrepareConfig

ConfigT = TypeVar("ConfigT")


class ConfigError(ValueError):
    """A job file or a `--set` cannot be used; the message names the key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobConfig:
    """Everything a job file may say. Each verb reads its own section.

    Args:
        ingest, prepare, animate: settings of the stages.
        workers: resources per step, by the stage's name; `default` is for those not named.
        limits: what a job may spend.
    """

    ingest: IngestConfig = field(default_factory=IngestConfig)
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    animate: AnimationConfig = field(default_factory=AnimationConfig)
    workers: dict[str, Workers] = field(default_factory=dict)
    limits: RunLimits = field(default_factory=RunLimits)

    def workers_by_stage(self, names: Sequence[str]) -> dict[str, Workers]:
        """Workers of every stage in `names`. Raises ConfigError for workers of a stage that does not exist."""
        known = [*names, "default"]
        if unknown := sorted(set(self.workers) - set(known)):
            raise ConfigError(f"workers.{unknown[0]}: no such stage{_hint(unknown[0], known)}")
        default = self.workers.get("default", Workers())
        return {name: self.workers.get(name, default) for name in names}


def load(path: Path | None, assignments: Sequence[str] = ()) -> JobConfig:
    """The job file at `path` (YAML, all of it optional) with `key.key=value` assignments on top.

    Raises:
        ConfigError: the file is missing or no YAML mapping, a key is unknown, a value has the wrong type or range.
        ValueError: a preset is unknown.
    """
    values = read(path, assignments, JobConfig)
    expand(values)
    return validated(values, JobConfig)


def read(path: Path | None, assignments: Sequence[str], kind: type[Any]) -> dict[str, Any]:
    """What the file at `path` and the assignments say, as plain values not yet checked against the dataclass `kind`.

    Raises:
        ConfigError: the file is missing or no YAML mapping, or an assignment is malformed.
    """
    values: dict[str, Any] = {} if path is None else _read(path, kind)
    for assignment in assignments:
        _assign(values, assignment)
    return values


def validated(values: Mapping[str, Any], kind: type[ConfigT]) -> ConfigT:
    """The dataclass `kind` of these values.

    Raises:
        ConfigError: a key is unknown, a value has the wrong type or range.
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
    """The whole configuration as plain values, defaults included."""
    plain: dict[str, Any] = pydantic.TypeAdapter(type(config)).dump_python(config, mode="json")
    return plain


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
    """Walk the mapping beside the dataclasses it is to become."""
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


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"


def _field_names(kind: Any) -> str:
    return ", ".join(f.name for f in dataclasses.fields(kind))
