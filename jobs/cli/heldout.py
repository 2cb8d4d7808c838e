"""Command line of held-out puppets: `zoetrope evaluate draw` and `zoetrope evaluate cards`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.options import Json, finish, typed_models
from jobs.engine.locations import location


def draw(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="figures, creatures, portraits or scenes; repeatable [all]."),
    ] = None,
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="Pairs per task.")] = 16,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="Seed of the first pair.")] = 0,
    side: Annotated[int, typer.Option("--side", min=32, help="Height of the frames in pixels.")] = 192,
    fps: Annotated[float, typer.Option("--fps", help="Frames per second.")] = 8.0,
    seconds: Annotated[float, typer.Option("--seconds", help="Duration of each video.")] = 2.0,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="As for animate; repeatable [every model that ships].", callback=typed_models),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw held-out puppets with their true videos: OUT/requests.parquet, for every model that ships."""
    from jobs.verbs.heldout import TASKS, HeldoutRequestsConfig, draw_heldout

    config = HeldoutRequestsConfig(
        tasks=tuple(task) if task else TASKS,  # type: ignore[arg-type]  # checked by the class
        num_pairs=pairs,
        first_seed=first_seed,
        side_px=side,
        fps=fps,
        duration_seconds=seconds,
        models=tuple(model or ()),
    )
    finish(lambda console: draw_heldout(out, config, console=console), as_json)


def cards(
    scores: Annotated[
        str,
        typer.Argument(
            metavar="SCORES", parser=location, help="Dataset of evaluate --group-by task, of the requests of draw."
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", parser=location, help="Folder of train publish, for a model of your own; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the measures of published models into their cards, and print the table of the README."""
    from jobs.verbs.cards import update_cards

    finish(lambda console: update_cards(scores, models=model or (), console=console), as_json)
