"""Command line of A²Bench: `zoetrope a2bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.options import Json, Out, finish
from jobs.engine.locations import location

a2bench_app = typer.Typer(
    help="A²Bench, the benchmark of Animate-X: requests, and a puppet stand-in.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@a2bench_app.command()
def requests(
    benchmark: Annotated[
        str,
        typer.Argument(
            metavar="BENCHMARK", parser=location, help="Folder with images, videos and saved_pkl, matched by file name."
        ),
    ],
    out: Out,
    setting: Annotated[
        str,
        typer.Option(
            "--setting", help="self-driven: original skeletons; rescaled: with the body shape of a random human."
        ),
    ] = "self-driven",
    humans: Annotated[
        str | None,
        typer.Option(
            "--humans", parser=location, help="Prepared clips of humans, for rescaled [those of the stand-in]."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the choice of humans.")] = 0,
    as_json: Json = False,
) -> None:
    """Write a request for `animate` for every character: OUT/requests.parquet, with driving clips in OUT/poses."""
    from jobs.verbs.a2bench import requests as run

    finish(
        lambda console: run(benchmark, out, setting=setting, humans=humans, seed=seed, console=console),
        as_json,
    )


@a2bench_app.command()
def draw(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    characters: Annotated[int, typer.Option("--characters", min=1, help="Number of characters.")] = 100,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="Seed of the first character.")] = 0,
    size: Annotated[tuple[int, int], typer.Option("--size", metavar="WIDTH HEIGHT", help="Frame size in pixels.")] = (
        192,
        192,
    ),
    fps: Annotated[float, typer.Option("--fps", help="Frames per second.")] = 8.0,
    seconds: Annotated[float, typer.Option("--seconds", help="Duration of each video.")] = 2.0,
) -> None:
    """Draw a stand-in: held-out anthropomorphic puppets with ground truth, in the layout of A²Bench."""
    from jobs.verbs.a2bench import StandInConfig, draw_stand_in

    config = StandInConfig(
        num_characters=characters,
        first_seed=first_seed,
        size_px=(size[1], size[0]),
        fps=fps,
        duration_seconds=seconds,
    )
    draw_stand_in(out, config)
    typer.echo(f"{characters} characters in {out}, ground truth in {out}/truth")
