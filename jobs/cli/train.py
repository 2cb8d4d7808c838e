"""Command line of training: `zoetrope train MODEL`, and the embedded networks."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from jobs.cli.options import LicenceCheck, Out, Set, WeightsFolder, finish, job_options
from jobs.engine.locations import location
from models.systems import FORMER_NAMES, find_model, former_name_notice, model_names
from models.weights.resolve import check_ships_nothing

if TYPE_CHECKING:
    from jobs.engine.console import Console
    from jobs.engine.spec import JobResult, Options


class _TrainGroup(TyperGroup):
    """Command group with `train_model` under the name of every model."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*model_names(), *(name for name in super().list_commands(ctx) if name != MODEL_COMMAND)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in model_names() and cmd_name not in FORMER_NAMES:
            return super().get_command(ctx, cmd_name)
        command = copy.copy(super().get_command(ctx, MODEL_COMMAND))
        assert command is not None
        command.name, command.hidden = cmd_name, False
        command.short_help = f"Train {find_model(cmd_name).system.title} on prepared clips."
        return command


train_app = typer.Typer(
    cls=_TrainGroup,
    help="Train a model on prepared data, or the embedded networks on puppets.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

MODEL_COMMAND = "MODEL"

Prepared = Annotated[str, typer.Argument(metavar="PREPARED", parser=location, help="Dataset that prepare wrote.")]
StartFrom = Annotated[
    str | None,
    typer.Option(
        "--start-from",
        parser=location,
        help="Initial weights: the --out of another run, a .safetensors file, a folder of published files, or the "
        "folder of weights with the base models [random].",
    ),
]
NumWorkers = Annotated[
    int | None, typer.Option("--num-workers", min=0, help="Workers of Ray Train; 0: this process, without Ray [0].")
]
Recipe = Annotated[Path | None, typer.Option("--config", help="Recipe (YAML).")]

Work = Annotated[Path, typer.Argument(metavar="WORK", help="Folder for rendered frames and training states.")]
CheckpointsOut = Annotated[Path | None, typer.Option("--out", help="Folder for the checkpoints [WORK/published].")]
Ship = Annotated[bool, typer.Option("--ship", help="Replace the checkpoints that ship with the project.")]
CheckpointsIn = Annotated[
    Path | None, typer.Option("--start-from", help="Folder of initial checkpoints [random weights].")
]
Videos = Annotated[int, typer.Option("--videos", min=1, help="Number of puppet videos.")]
FirstSeed = Annotated[int, typer.Option("--first-seed", min=0, help="Seed of the first puppet video.")]


@train_app.command(MODEL_COMMAND, hidden=True)
@job_options(without=("sample", "max_failed"))
def train_model(
    context: typer.Context,
    prepared: Prepared,
    out: Out,
    stage: Annotated[
        int | None,
        typer.Option("--stage", min=1, help="Training stage, for systems with several [1]."),
    ] = None,
    start_from: StartFrom = None,
    num_workers: NumWorkers = None,
    licence_check: LicenceCheck = None,
    config: Recipe = None,
    set_: Set = None,
    *,
    options: Options,
    as_json: bool,
) -> None:
    """Train the model on prepared clips. The same command resumes an interrupted run."""
    from jobs.training.config import load
    from jobs.verbs.train import train

    assignments = [*(set_ or ()), *(() if num_workers is None else (f"workers.num={num_workers}",))]
    assignments += [] if licence_check is None else [f"licence_check={licence_check}"]
    name = str(context.info_name)
    recipe = load(name, config, assignments, stage=stage)

    def run(console: Console) -> JobResult:
        if (notice := former_name_notice(name)) is not None:
            console.notice(notice)
        return train(prepared, out, config=recipe, start_from=start_from, options=options, console=console)

    finish(run, as_json)


@train_app.command()
def perception(
    work: Work,
    out: CheckpointsOut = None,
    start_from: CheckpointsIn = None,
    networks: Annotated[
        list[str] | None,
        typer.Option("--network", help="figure (pose, depth, mask), object or face; repeatable [all]."),
    ] = None,
    figure_steps: Annotated[int, typer.Option("--figure-steps", min=1, help="Steps for pose, depth, mask.")] = 5000,
    object_steps: Annotated[int, typer.Option("--object-steps", min=1, help="Steps for object masks.")] = 4000,
    face_steps: Annotated[int, typer.Option("--face-steps", min=1, help="Steps for face landmarks.")] = 3000,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Peak learning rate [0.002].")] = None,
    videos: Videos = 4000,
    first_seed: FirstSeed = 0,
    ship: Ship = False,
) -> None:
    """Train the embedded perception networks on puppets. The same command resumes an interrupted run."""
    from jobs.training.perception import NETWORKS, TrainPerceptionConfig, from_command_line
    from jobs.training.puppet_networks import puppet_network_recipe
    from models.perception.shipped import CHECKPOINTS

    config = TrainPerceptionConfig(
        work=work,
        out=_published_to(work, out, CHECKPOINTS if ship else None),
        start_from=start_from,
        networks=tuple(networks) if networks else NETWORKS,  # type: ignore[arg-type]  # checked by the class
        figure=puppet_network_recipe(steps=figure_steps),
        object=puppet_network_recipe(steps=object_steps),
        face=puppet_network_recipe(steps=face_steps, batch_size=16),
        num_videos=videos,
        first_seed=first_seed,
    )
    typer.echo(json.dumps(from_command_line(config, learning_rate=learning_rate), indent=1))


@train_app.command()
def appearance(
    work: Work,
    out: CheckpointsOut = None,
    start_from: CheckpointsIn = None,
    vae_steps: Annotated[int, typer.Option("--vae-steps", min=1, help="Steps for the VAE.")] = 2400,
    image_encoder_steps: Annotated[
        int, typer.Option("--image-encoder-steps", min=1, help="Steps for the image encoder.")
    ] = 600,
    videos: Videos = 4000,
    first_seed: FirstSeed = 20_000,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Number of compute threads.")] = 1,
    ship: Ship = False,
) -> None:
    """Train the embedded VAE and image encoder on puppets. The same command resumes an interrupted run."""
    from jobs.training.appearance import TrainAppearanceConfig, from_command_line
    from models.appearance.vae import CHECKPOINTS

    defaults = TrainAppearanceConfig(work=work, out=_published_to(work, out, CHECKPOINTS if ship else None))
    config = replace(
        defaults,
        start_from=start_from,
        vae=replace(defaults.vae, steps=vae_steps),
        image_encoder=replace(defaults.image_encoder, steps=image_encoder_steps),
        frames=replace(defaults.frames, num_videos=videos, first_seed=first_seed),
        threads=threads,
    )
    typer.echo(json.dumps(from_command_line(config), indent=1))


@train_app.command()
def publish(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", parser=location, help="The --out of a training run, or a .safetensors file of one."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write to [RUN/published].")] = None,
    ship: Ship = False,
    weights: WeightsFolder = None,
    pairs: Annotated[
        int, typer.Option("--pairs", min=0, help="Number of held-out pairs of puppets for the scores; 0: none.")
    ] = 40,
    compare: Annotated[
        list[str] | None,
        typer.Option("--compare", metavar="NAME=RUN", help="Another run to compare with in the card; repeatable."),
    ] = None,
) -> None:
    """Write the weights of a run to a folder that --model takes: half precision, held-out scores, model card."""
    from jobs.training.publish import publish as publish_run

    compared = {}
    for text in compare or ():
        name, separator, other = text.partition("=")
        if not (name and separator and other) or name in compared:
            raise typer.BadParameter(f"--compare {text}: expected NAME=RUN, each NAME once")
        compared[name] = location(other)
    scores = publish_run(run, out, ship=ship, weights=weights, heldout={"num_pairs": pairs}, compare=compared)
    typer.echo(json.dumps(scores, indent=1))


def _published_to(work: Path, out: Path | None, shipped: Path | None) -> Path:
    """Folder for the checkpoints. `shipped`: that of the checkpoints that ship, if they are to be replaced."""
    if shipped is not None:
        if out is not None:
            raise typer.BadParameter("--ship writes to the folder of the checkpoints that ship; leave out --out")
        return shipped
    folder = work / "published" if out is None else out
    check_ships_nothing(folder)
    return folder
