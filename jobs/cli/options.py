"""Command-line options shared by verbs, and common handling of results."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from jobs.engine.console import Console
from jobs.engine.locations import is_place, location
from models.systems import FORMER_NAMES, find_model, model_names

Out = Annotated[str, typer.Option("--out", parser=location, help="Folder or URL to write to.")]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", parser=location, help="Dataset that a job wrote.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="Job file (YAML).")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting, as key.key=value; repeatable.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done and why; write nothing.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rows, by id.")]
Sample = Annotated[int | None, typer.Option("--sample", min=1, help="Only N rows, spread over the manifest.")]
MaxFailed = Annotated[
    str | None,
    typer.Option("--max-failed", help="Rows that may fail for exit code 0: a number or a percentage [10%]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; everything else goes to stderr.")]
TrackingUri = Annotated[
    str | None, typer.Option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow store [sqlite:///mlflow.db].")
]
Experiment = Annotated[str, typer.Option("--experiment", envvar="MLFLOW_EXPERIMENT_NAME", help="MLflow experiment.")]
RayAddress = Annotated[
    str | None, typer.Option("--ray-address", help="Address of a running Ray cluster [a local one].")
]

_JOB_PARAMETERS = {
    "dry_run": (DryRun, False),
    "limit": (Limit, None),
    "sample": (Sample, None),
    "max_failed": (MaxFailed, None),
    "as_json": (Json, False),
    "tracking_uri": (TrackingUri, None),
    "experiment": (Experiment, "zoetrope"),
    "ray_address": (RayAddress, None),
}
"""Parameters that `job_options` adds, in the order of `--help`: type and default."""


WeightsFolder = Annotated[
    str | None,
    typer.Option(
        "--weights",
        envvar="ZOETROPE_WEIGHTS",
        help="Folder of published weights [~/.cache/zoetrope/weights].",
        parser=location,
    ),
]
AllowTorchScript = Annotated[
    bool, typer.Option("--allow-torchscript", help="Open TorchScript files, which can run code of their own.")
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Perception networks, as in docs/people.md, or the folder that train perception wrote [people].",
    ),
]
LicenceCheck = Annotated[
    Literal["any", "commercial"] | None,
    typer.Option("--licence-check", help="commercial: refuse weights that may not be used commercially [any]."),
]
Download = Annotated[bool, typer.Option("--download", help="Download missing weights.")]


def typed_model(model: str | None) -> str | None:
    """A model as it was typed: a name, or the absolute place of a trained one. Raises UnknownModelError."""
    if model is None or model in model_names() or model in FORMER_NAMES:
        return model
    return location(model) if is_place(model, ()) else find_model(model).name


def typed_models(models: list[str] | None) -> list[str] | None:
    """`typed_model` of each."""
    return None if models is None else [str(typed_model(model)) for model in models]


Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Animation model: a name, the --out of a training run, or what train publish wrote "
        "[animate-anyone-puppets].",
        callback=typed_model,
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the noise [0].")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Denoising steps [the model's].")]
Guidance = Annotated[float | None, typer.Option("--guidance", min=0, help="Guidance scale [the model's].")]
Size = Annotated[
    tuple[int, int] | None,
    typer.Option(
        "--size", metavar="WIDTH HEIGHT", help="Video size in pixels [the model's, with the picture's aspect ratio]."
    ),
]

Controls = Annotated[
    Literal["body", "face", "both"] | None,
    typer.Option(
        "--controls",
        help="What the driving video controls, for models that read its face [both, where it shows a face].",
    ),
]


def job_options(*, without: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of verbs that run a job: replaces their parameters `options` and `as_json` by command-line options.

    The verb receives `options`, a `jobs.engine.spec.Options`, and `as_json`, both by keyword.

    Args:
        without: names of `_JOB_PARAMETERS` that the verb does not offer.
    """
    added = {name: parameter for name, parameter in _JOB_PARAMETERS.items() if name not in without}

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def command(**values: Any) -> None:
            from jobs.engine.spec import Options  # late: imports Ray

            as_json = values.pop("as_json")
            options = Options(**{name: values.pop(name) for name in added if name != "as_json"})
            verb(**values, options=options, as_json=as_json)

        # Typer reads the signature and the annotations. `Options` is no runtime name of the verb's module, for speed.
        hints = get_type_hints(verb, localns={"Options": object}, include_extras=True)
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            parameter.replace(kind=keyword, annotation=hints[name])
            for name, parameter in inspect.signature(verb).parameters.items()
            if name not in ("options", "as_json")
        ]
        parameters += [
            inspect.Parameter(name, keyword, default=default, annotation=kind)
            for name, (kind, default) in added.items()
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def perception_settings(
    verb: str,
    *,
    preset: str | None,
    weights: str | None,
    allow_torchscript: bool,
    download: bool,
    licence_check: str | None,
) -> list[str]:
    """Assignments `key=value` equivalent to the options of networks that are set."""
    values = {"preset": preset, "weights": weights, "allow_torchscript": allow_torchscript, "download": download}
    # JSON is a subset of YAML, and quotes special characters of a path.
    licences = [f"licence_check={licence_check}"] if licence_check else []
    return [*(f"{verb}.{key}={json.dumps(value)}" for key, value in values.items() if value), *licences]


def finish(run: Callable[[Console], Any], as_json: bool) -> None:
    """Run a verb, print its summary with `as_json`, and exit with its code."""
    console = Console(json_only=as_json)
    result = run(console)
    if as_json:
        print(json.dumps(result.summary))
    raise typer.Exit(result.exit_code)
