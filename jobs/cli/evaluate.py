"""Command line of evaluation: `zoetrope evaluate RESULTS`, `zoetrope evaluate --pairs TABLE`, `zoetrope evaluate
compare A B`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from jobs.cli.compare import compare
from jobs.cli.heldout import cards, draw
from jobs.cli.options import (
    AllowTorchScript,
    ConfigFile,
    Download,
    LicenceCheck,
    Out,
    Preset,
    Set,
    WeightsFolder,
    finish,
    job_options,
    perception_settings,
)
from jobs.engine.locations import location
from models.metrics.protocols import PROTOCOLS

if TYPE_CHECKING:
    from jobs.engine.spec import Options

RESULTS_COMMAND = "RESULTS"


def _truth(text: str) -> str:
    return text if text == "driving" or text.startswith("column:") else location(text)


class _EvaluateGroup(TyperGroup):
    """Command group whose first word is a subcommand, or an argument or option of `evaluate_results`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._named(ctx, args))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        return super().resolve_command(ctx, self._named(ctx, args))

    def _named(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with the name of a subcommand."""
        if not args or args[0] in {*self.list_commands(ctx), *ctx.help_option_names}:
            return args
        return [RESULTS_COMMAND, *args]


evaluate_app = typer.Typer(
    cls=_EvaluateGroup,
    help=(
        "Measure animations against their truth, or ask people which of two they prefer.\n\n"
        "zoetrope evaluate RESULTS --out DIR: animations that animate wrote, against their driving videos or other "
        "truth.\n\n"
        "zoetrope evaluate --pairs TABLE --out DIR: any videos, by a table with animation_uri and truth_uri.\n\n"
        "zoetrope evaluate compare A B --out SHEET.html: a page that shows the animations of two datasets blind.\n\n"
        "zoetrope evaluate draw OUT: held-out puppets with true videos, as requests to animate.\n\n"
        "zoetrope evaluate RESULTS --help lists the options of the first two."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


evaluate_app.command()(compare)
evaluate_app.command()(draw)
evaluate_app.command()(cards)


@evaluate_app.command(RESULTS_COMMAND)
@job_options()
def evaluate_results(
    out: Out,
    results: Annotated[
        str | None,
        typer.Argument(metavar="[RESULTS]", parser=location, help="Dataset that animate wrote.", show_default=False),
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option("--pairs", parser=location, help="Table of pairs (.parquet or .csv), in place of RESULTS."),
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            "--truth",
            parser=_truth,
            metavar="driving|FOLDER|column:NAME",
            help="True videos: the driving ones, those of a folder named after the requests, or the URIs in a column "
            "of RESULTS [driving].",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="|".join(PROTOCOLS),
            help="Evaluation of a paper: its measures and frame size, and its published values beside ours.",
        ),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", help="A measure to compute; repeatable [those of the protocol, else all]."),
    ] = None,
    group_by: Annotated[
        list[str] | None,
        typer.Option(
            "--group-by", metavar="COLUMN", help="Column whose values make a setting; repeatable [steps and guidance]."
        ),
    ] = None,
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
    """Measure animations against their truth, with a table per model and setting. Run again, it does what is missing
    or stale.
    """
    from jobs.engine.continued import load_continuing
    from jobs.verbs.evaluate import evaluate as run

    assignments = perception_settings(
        "evaluate",
        preset=preset,
        weights=weights,
        allow_torchscript=allow_torchscript,
        download=download,
        licence_check=licence_check,
    )
    loaded = load_continuing("evaluate", out, config, [*assignments, *(set_ or ())])
    finish(
        lambda console: run(
            out,
            results=results,
            pairs=pairs,
            truth=truth,
            protocol=protocol,
            measures=measure or (),
            group_by=group_by or (),
            config=loaded,
            options=options,
            console=console,
        ),
        as_json,
    )
