"""Command line: `zoetrope VERB`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.cli.a2bench import a2bench_app
from jobs.cli.animate import animate, pair
from jobs.cli.evaluate import evaluate_app
from jobs.cli.information import config, status
from jobs.cli.options import (
    AllowTorchScript,
    ConfigFile,
    Dataset,
    Download,
    Json,
    LicenceCheck,
    Out,
    Preset,
    Set,
    WeightsFolder,
    finish,
    job_options,
    perception_settings,
)
from jobs.cli.run import run_app
from jobs.cli.train import train_app
from jobs.cli.weights import doctor, weights_app
from jobs.engine.code_version import code_version
from jobs.engine.locations import location

if TYPE_CHECKING:
    from jobs.engine.spec import Options

# Verbs import their implementation when called, to keep `--help` and usage errors fast.

HELP = """Batch pipeline from videos to character animations.

\b
First steps:
  zoetrope demo                                         cartoon characters, from drawing to animation
  zoetrope doctor                                       what this machine and its weights are ready for
  zoetrope weights fetch people                         networks that find people, 16 MB
  zoetrope ingest my_videos/ --out corpus/              probe videos, detect shots, cut clips
  zoetrope prepare corpus/clips --out corpus/prepared   pose, depth, masks, quality
  zoetrope animate --reference hero.png --driving dance.mp4 --out animations/

\b
`zoetrope COMMAND --help` lists the options of a command, `zoetrope config` all settings;
`zoetrope status DATASET` shows how far a job is.
"""

app = typer.Typer(
    name="zoetrope",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(a2bench_app, name="a2bench")
app.add_typer(weights_app, name="weights")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"zoetrope {code_version()}")
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version, and stop.")
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
@job_options()
def ingest(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SRC...", parser=location, help="Folders, globs, URLs, .parquet or .csv lists."),
    ],
    out: Out,
    objects: Annotated[
        str | None, typer.Option("--objects", parser=location, help="Table of object prompts (boxes or points).")
    ] = None,
    config: ConfigFile = None,
    set_: Set = None,
    *,
    options: Options,
    as_json: bool,
) -> None:
    """Probe videos, detect shots, cut clips: OUT/videos and OUT/clips."""
    from jobs.engine import config as configuration
    from jobs.verbs.ingest import ingest as run

    loaded = configuration.load(config, set_ or ())
    finish(lambda console: run(sources, out, objects=objects, config=loaded, options=options, console=console), as_json)


@app.command()
@job_options()
def prepare(
    clips: Annotated[
        str,
        typer.Argument(metavar="CLIPS", parser=location, help="Clips that ingest wrote (folder, .parquet or .csv)."),
    ],
    out: Out,
    preset: Preset = None,
    weights: WeightsFolder = None,
    allow_torchscript: AllowTorchScript = False,
    download: Download = False,
    licence_check: LicenceCheck = None,
    config: ConfigFile = None,
    set_: Set = None,
    *,
    options: Options,
    as_json: bool,
) -> None:
    """Extract pose, depth, masks and quality from clips. Run again, it does what is missing or stale."""
    from jobs.engine.continued import load_continuing
    from jobs.verbs.prepare import prepare as run

    perception = perception_settings(
        "prepare",
        preset=preset,
        weights=weights,
        allow_torchscript=allow_torchscript,
        download=download,
        licence_check=licence_check,
    )
    loaded = load_continuing("prepare", out, config, [*perception, *(set_ or ())])
    finish(lambda console: run(clips, out, config=loaded, options=options, console=console), as_json)


app.command()(pair)
app.command()(animate)


@app.command()
@job_options(without=("limit", "sample"))
def retry(
    dataset: Dataset,
    reason: Annotated[
        list[str] | None, typer.Option("--reason", help="Only rows that failed with this reason; repeatable.")
    ] = None,
    stage: Annotated[
        list[str] | None, typer.Option("--stage", help="Only rows that failed in this stage; repeatable.")
    ] = None,
    *,
    options: Options,
    as_json: bool,
) -> None:
    """Run the failed rows of a dataset again, with the manifest and settings of its last job."""
    from jobs.verbs.maintenance import retry as run
    from pipelines.engine.plan import Retry

    selection = Retry(reasons=tuple(reason or ()), stages=tuple(stage or ()))
    options = replace(options, retry=selection)
    finish(lambda console: run(dataset, options=options, console=console), as_json)


@app.command()
@job_options(without=("dry_run", "limit", "sample", "max_failed", "ray_address"))
def report(
    dataset: Dataset,
    *,
    options: Options,
    as_json: bool,
) -> None:
    """Write the HTML report of a dataset again, without running rows."""
    from jobs.verbs.maintenance import report as run

    finish(lambda console: run(dataset, options=options, console=console), as_json)


@app.command()
def compact(
    dataset: Dataset,
    repair: Annotated[
        bool, typer.Option("--repair", help="Move damaged data files to _damaged/; keep their readable rows.")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete media files that no row names.")] = False,
    as_json: Json = False,
) -> None:
    """Merge committed rows into data files. Jobs do this at their end; after a crash, the next job does."""
    from jobs.verbs.maintenance import compact as run

    finish(lambda console: run(dataset, console=console, repair=repair, prune=prune), as_json)


@app.command()
def puppets(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    videos: Annotated[int, typer.Option("--videos", min=1, help="Number of videos.")] = 8,
    seed: Annotated[int, typer.Option("--seed", help="Random seed.")] = 0,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Characters and motions held out from training.")
    ] = False,
    only_humans: Annotated[bool, typer.Option("--only-humans", help="Characters of human proportions only.")] = False,
    improvised: Annotated[
        float, typer.Option("--improvised", min=0, max=1, help="Share of videos with random poses.")
    ] = 0.0,
    alone: Annotated[
        bool, typer.Option("--alone", help="Whole figures, facing a static camera, without objects.")
    ] = False,
    interacting: Annotated[
        bool,
        typer.Option(
            "--interacting", help="Whole human figures that handle or meet objects, static camera. Not with --alone."
        ),
    ] = False,
    portraits: Annotated[
        bool,
        typer.Option(
            "--portraits",
            help="Talking characters close up in moving scenery; the same with other faces in OUT/twins.",
        ),
    ] = False,
    scenery: Annotated[bool, typer.Option("--scenery", help="Moving scenery without a character.")] = False,
    size: Annotated[tuple[int, int], typer.Option("--size", metavar="WIDTH HEIGHT", help="Frame size in pixels.")] = (
        320,
        448,
    ),
    fps: Annotated[float, typer.Option("--fps", help="Frames per second.")] = 16.0,
    seconds: Annotated[float, typer.Option("--seconds", help="Duration of each video.")] = 4.0,
) -> None:
    """Draw videos of cartoon characters with exact ground truth."""
    from jobs.verbs.puppets import write_puppets

    width, height = size
    write_puppets(
        out,
        num_videos=videos,
        seed=seed,
        split="heldout" if held_out else "train",
        body="human" if only_humans else None,
        size_px=(height, width),
        fps=fps,
        seconds=seconds,
        improvised_share=improvised,
        alone=alone,
        interacting=interacting,
        portraits=portraits,
        scenery=scenery,
    )
    typer.echo(f"{videos} videos in {out}/videos, ground truth in {out}/truth, object prompts in {out}/objects.parquet")


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")] = Path("demo"),
    videos: Annotated[int, typer.Option("--videos", min=1, help="Number of puppet videos.")] = 6,
) -> None:
    """Draw puppets, prepare them, animate pictures of characters, and print where the results are."""
    from jobs.verbs.demo import demo as run

    finish(lambda console: run(out, num_videos=videos, console=console), as_json=False)


app.command()(status)
app.command()(config)
app.command()(doctor)


def main() -> None:
    """Run the command line (`jobs.cli.run`)."""
    run_app(app)
