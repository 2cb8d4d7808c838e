"""`zoetrope config`: all settings of jobs, or of the training of a model."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jobs.engine import config as configuration
from jobs.engine.config import ConfigError, JobConfig
from jobs.engine.console import Console
from jobs.engine.presets import COMMON, PRESETS, SECTIONS
from jobs.engine.settings import Setting, settings
from jobs.engine.spec import JobResult
from models.systems import FORMER_NAMES, model_names


def show_settings(which: str | None, path: Path | None, assignments: Sequence[str], *, console: Console) -> JobResult:
    """Print settings with type, value and meaning, marking values that a job file or an assignment changed.

    Args:
        which: the first words of keys, such as `prepare.select`, or the name of a model, for its training; None: all
            settings of jobs.
        path: job file or recipe.
        assignments: `key.key=value`.
        console: output.

    Raises:
        ConfigError: `which` is neither, or the file or an assignment is invalid.
    """
    shown = list(_recipe(which, path, assignments) if _is_model(which) else _job(which, path, assignments))
    for setting, value in shown:
        changed = "" if value == setting.default else f", {setting.default} by default"
        console.line(f"{setting.key} = {value}  ({setting.kind}{changed})")
        console.line(f"    {setting.meaning}")
    described = [
        {"key": one.key, "type": one.kind, "default": one.default, "value": value, "meaning": one.meaning}
        for one, value in shown
    ]
    return JobResult(exit_code=0, summary={"verb": "config", "settings": described})


def job_settings(config: JobConfig) -> list[Setting]:
    """Settings of all verbs. The keys that apply to all sections of a verb precede those of its sections."""
    inner = list(settings(JobConfig, config))
    return [
        setting
        for verb in dict.fromkeys(one.key.partition(".")[0] for one in inner)
        for setting in (*_common(verb, inner), *(one for one in inner if f"{one.key}.".startswith(f"{verb}.")))
    ]


def _common(verb: str, inner: Sequence[Setting]) -> Iterator[Setting]:
    if verb not in SECTIONS:
        return
    kinds = {one.key.rpartition(".")[2]: one for one in inner if one.key.startswith(f"{verb}.")}
    meaning = "perception networks: sets the backends of the sections below"
    yield Setting(key=f"{verb}.preset", kind=" | ".join((*PRESETS, "FOLDER")), default="null", meaning=meaning)
    for name in COMMON:
        one = kinds[name]
        text = f"{one.meaning}; for all sections below that do not set it"
        yield Setting(key=f"{verb}.{name}", kind=one.kind, default="null", meaning=text)


def _is_model(which: str | None) -> bool:
    return which in model_names() or which in FORMER_NAMES


def _job(which: str | None, path: Path | None, assignments: Sequence[str]) -> list[tuple[Setting, str]]:
    defaults = job_settings(JobConfig())
    values = {one.key: one.default for one in job_settings(configuration.load(path, assignments))}
    # Keys for all sections are written into the sections; they have no value of their own.
    chosen = [one for one in defaults if which is None or f"{one.key}.".startswith(f"{which.rstrip('.')}.")]
    if not chosen:
        names = [*dict.fromkeys(".".join(one.key.split(".")[:2]) for one in defaults), *model_names()]
        close = difflib.get_close_matches(str(which), names, n=1)
        hint = f"did you mean {close[0]}?" if close else "`zoetrope config` lists all"
        raise ConfigError(f"no setting begins with {which!r}; {hint}")
    return [(one, values[one.key]) for one in chosen]


def _recipe(which: Any, path: Path | None, assignments: Sequence[str]) -> list[tuple[Setting, str]]:
    from jobs.training.config import TrainConfig, load  # late: imports torch

    defaults = settings(TrainConfig, load(which, None))
    values = {one.key: one.default for one in settings(TrainConfig, load(which, path, assignments))}
    return [(one, values[one.key]) for one in defaults]
