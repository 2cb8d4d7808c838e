"""Command line of preference sheets: `zoetrope evaluate compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.options import Experiment, Json, TrackingUri, finish
from jobs.engine.locations import location


def compare(
    a: Annotated[str, typer.Argument(metavar="A", parser=location, help="Dataset that animate wrote.")],
    b: Annotated[
        str, typer.Argument(metavar="B", parser=location, help="Dataset of the same requests by another model.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The page, NAME.html; its key is NAME.key.json.")],
    choices: Annotated[
        list[Path] | None,
        typer.Option("--choices", help="File that a judge saved, or a folder of them; repeatable. Aggregates them."),
    ] = None,
    models: Annotated[
        tuple[str, str] | None,
        typer.Option("--models", metavar="MODEL_A MODEL_B", help="Models to compare, for datasets with several."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Number of pairs, drawn at random [all].")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed of sample, order and sides [0].", show_default=False)
    ] = None,
    as_json: Json = False,
    tracking_uri: TrackingUri = None,
    experiment: Experiment = "zoetrope",
) -> None:
    """Write a page on which judges choose between animations of A and B, blind; or aggregate their choices."""
    from jobs.engine.spec import Options  # late: imports Ray
    from jobs.verbs.compare import aggregate, write_sheet

    if choices:
        if models is not None or limit is not None or seed is not None:
            raise typer.BadParameter(
                "--models, --limit and --seed make a sheet; --choices reads one", param_hint="--choices"
            )
        options = Options(tracking_uri=tracking_uri, experiment=experiment)
        finish(lambda console: aggregate(a, b, out, choices=choices, options=options, console=console), as_json)
    finish(
        lambda console: write_sheet(a, b, out, models=models, limit=limit, seed=seed or 0, console=console),
        as_json,
    )
