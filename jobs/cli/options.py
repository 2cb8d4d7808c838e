"""Options that several verbs have, and how a verb ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.engine.console import Console

Out = Annotated[str, typer.Option("--out", help="Folder or URL to write to.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="Job file (YAML).")]
Set = Annotated[list[str] | None, typer.Option("--set", help="One setting, as key.key=value; may be repeated.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rows by id.")]
MaxFailed = Annotated[
    str | None, typer.Option("--max-failed", help="Rows that may fail: a number or a percentage [10%].")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; everything else goes to stderr.")]
TrackingUri = Annotated[
    str | None, typer.Option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow store [sqlite:///mlflow.db].")
]
Experiment = Annotated[str, typer.Option("--experiment", envvar="MLFLOW_EXPERIMENT_NAME", help="MLflow experiment.")]
RayAddress = Annotated[str | None, typer.Option("--ray-address", help="A running cluster [one is started here].")]

WeightsFolder = Annotated[
    str | None,
    typer.Option(
        "--weights", envvar="ZOETROPE_WEIGHTS", help="Folder of published weights [only the Hugging Face cache]."
    ),
]
AllowTorchScript = Annotated[
    bool, typer.Option("--allow-torchscript", help="Open TorchScript files, which can run code of their own.")
]
Preset = Annotated[str | None, typer.Option("--preset", help="Perception networks, as in the README [embedded].")]
Download = Annotated[bool, typer.Option("--download", help="Fetch weights that are missing.")]

Model = Annotated[str | None, typer.Option("--model", help="Animation model [animate-anyone].")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Of the noise [0].")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Denoising steps [the model's].")]
Guidance = Annotated[float | None, typer.Option("--guidance", min=0, help="Guidance scale [the model's].")]
Size = Annotated[
    tuple[int, int] | None,
    typer.Option("--size", metavar="WIDTH HEIGHT", help="In pixels [the model's, in the picture's shape]."),
]


def perception_settings(
    verb: str, *, preset: str | None, weights: str | None, allow_torchscript: bool, download: bool
) -> list[str]:
    """The assignments that the options of perception stand for."""
    said = {"preset": preset, "weights": weights, "allow_torchscript": allow_torchscript, "download": download}
    # JSON is YAML, and quotes whatever a path holds.
    return [f"{verb}.{key}={json.dumps(value)}" for key, value in said.items() if value]


def finish(run: Callable[[Console], Any], as_json: bool) -> None:
    """Run a verb, print its summary if that was asked for, and exit with its code."""
    console = Console(json_only=as_json)
    result = run(console)
    if as_json:
        print(json.dumps(result.summary))
    raise typer.Exit(result.exit_code)
