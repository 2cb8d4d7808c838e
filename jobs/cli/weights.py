"""Command line of published weights: `zoetrope weights`, `zoetrope doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.options import AllowTorchScript, Json, WeightsFolder, finish

weights_app = typer.Typer(
    help="Published weights: list, locate, download and verify.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Names shown by `zoetrope weights list`.")]


@weights_app.command("list")
def list_(weights: WeightsFolder = None, as_json: Json = False) -> None:
    """List all supported weights: publisher, size, licence, and whether they are present."""
    from jobs.verbs.weights import list_weights as run

    finish(lambda console: run(_path(weights), console=console), as_json)


@weights_app.command()
def where(names: Names, weights: WeightsFolder = None, as_json: Json = False) -> None:
    """Print the paths of files, or where to put missing ones. The exit code is 1 if one is missing."""
    from jobs.verbs.weights import where as run

    finish(lambda console: run(names, _path(weights), console=console), as_json)


@weights_app.command()
def fetch(
    names: Names,
    weights: WeightsFolder = None,
    archive: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Wheel or bundle to take the files from, in place of a download."),
    ] = None,
    allow_torchscript: AllowTorchScript = False,
    as_json: Json = False,
) -> None:
    """Download missing files to the folder of weights or the Hugging Face cache, and verify them."""
    from jobs.verbs.weights import fetch_weights as run

    finish(
        lambda console: run(
            names, _path(weights), archive=archive, allow_torchscript=allow_torchscript, console=console
        ),
        as_json,
    )


@weights_app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="[all that are present]")] = None,
    weights: WeightsFolder = None,
    as_json: Json = False,
) -> None:
    """Compare the size and digest of files with the catalogue. Files are read as bytes, never executed."""
    from jobs.verbs.weights import verify as run

    finish(lambda console: run(names or [], _path(weights), console=console), as_json)


def doctor(weights: WeightsFolder = None, allow_torchscript: AllowTorchScript = False, as_json: Json = False) -> None:
    """Print which jobs this machine and its weights are ready for."""
    from jobs.verbs.doctor import doctor as run

    finish(lambda console: run(_path(weights), allow_torchscript=allow_torchscript, console=console), as_json)


def _path(weights: str | None) -> Path | None:
    return Path(weights) if weights is not None else None
