"""Command line of what is set and what is running: `zoetrope config` and `zoetrope status`."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.cli.options import ConfigFile, Dataset, Json, Set, finish


def config(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHICH]", help="First words of keys (prepare.select), or a model, for its training [all of jobs]."
        ),
    ] = None,
    config: ConfigFile = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Print settings with their type, value and meaning."""
    from jobs.verbs.settings import show_settings

    finish(lambda console: show_settings(which, config, set_ or (), console=console), as_json)


def status(dataset: Dataset, as_json: Json = False) -> None:
    """Print who writes to a dataset, how far the job is, and how the last one ended."""
    from jobs.verbs.status import status as run

    finish(lambda console: run(dataset, console=console), as_json)
