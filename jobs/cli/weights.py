"""The command line of published weights: `zoetrope weights`, `zoetrope doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.options import AllowTorchScript, Json, WeightsFolder, finish

weights_app = typer.Typer(
    help="Published weights: what there is, where it is, fetching and checking it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="As `zoetrope weights list` shows them.")]


@weights_app.command("list")
def list_(weights: WeightsFolder = None, as_json: Json = False) -> None:
    """Every weight that can be used: publisher, size, licence, and whether it is here."""
    from jobs.verbs.weights import list_weights as run

    finish(lambda console: run(_path(weights), console=console), as_json)


@weights_app.command()
def where(names: Names, weights: WeightsFolder = None, as_json: Json = False) -> None:
    """Where files are, or where to put them. The exit code is 1 if one is missing."""
    from jobs.verbs.weights import where as run

    finish(lambda console: run(names, _path(weights), console=console), as_json)


@weights_app.command()
def fetch(
    names: Names, weights: WeightsFolder = None, allow_torchscript: AllowTorchScript = False, as_json: Json = False
) -> None:
    """Download what is missing, into the folder of weights or else the Hugging Face cache, and check it."""
    from jobs.verbs.weights import fetch_weights as run

    finish(lambda console: run(names, _path(weights), allow_torchscript=allow_torchscript, console=console), as_json)


@weights_app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="[all that are here]")] = None,
    weights: WeightsFolder = None,
    as_json: Json = False,
) -> None:
    """Read files and compare them with the catalogue: whole, and of the published digest. Nothing in them is run."""
    from jobs.verbs.weights import verify as run

    finish(lambda console: run(names or [], _path(weights), console=console), as_json)


def doctor(weights: WeightsFolder = None, allow_torchscript: AllowTorchScript = False, as_json: Json = False) -> None:
    """Say what of this machine and of the weights is ready for which job."""
    from jobs.verbs.doctor import doctor as run

    finish(lambda console: run(_path(weights), allow_torchscript=allow_torchscript, console=console), as_json)


def _path(weights: str | None) -> Path | None:
    return Path(weights) if weights is not None else None
