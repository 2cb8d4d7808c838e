"""Command line of animations: `zoetrope pair` and `zoetrope animate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.options import (
    AllowTorchScript,
    ConfigFile,
    Controls,
    Download,
    Guidance,
    Json,
    LicenceCheck,
    Model,
    Out,
    Preset,
    Seed,
    Set,
    Size,
    Steps,
    WeightsFolder,
    finish,
    job_options,
    perception_settings,
    typed_models,
)
from jobs.engine.locations import location

if TYPE_CHECKING:
    from jobs.engine.spec import Options


def pair(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="REFERENCES... CLIPS", parser=location, help="Pictures, followed by the prepared clips or videos."
        ),
    ],
    out: Annotated[str, typer.Option("--out", parser=location, help="Table of requests to write (.parquet).")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="As for animate [animate-anyone-puppets]; repeatable, for requests to several.",
            callback=typed_models,
        ),
    ] = None,
    seed: Seed = None,
    steps: Steps = None,
    guidance: Guidance = None,
    size: Size = None,
    controls: Controls = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most N pairs, a fixed sample.")] = None,
    as_json: Json = False,
) -> None:
    """Write requests to animate every picture with every clip."""
    from jobs.verbs.pair import pair as run

    if len(references) < 2:
        raise typer.BadParameter("expected pictures, followed by the clips", param_hint="REFERENCES... CLIPS")
    *pictures, clips = references
    settings = _request_settings(None, seed, steps, guidance, size, controls)
    finish(
        lambda console: run(pictures, clips, out, settings=settings, models=model or (), limit=limit, console=console),
        as_json,
    )


@job_options()
def animate(
    out: Out,
    requests: Annotated[
        str | None,
        typer.Argument(metavar="[REQUESTS]", parser=location, help="Table of requests (folder, .parquet or .csv)."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", parser=location, help="One picture, in place of REQUESTS.")
    ] = None,
    driving: Annotated[
        str | None, typer.Option("--driving", parser=location, help="Driving video for --reference.")
    ] = None,
    model: Model = None,
    preset: Preset = None,
    weights: WeightsFolder = None,
    allow_torchscript: AllowTorchScript = False,
    download: Download = False,
    licence_check: LicenceCheck = None,
    seed: Seed = None,
    steps: Steps = None,
    guidance: Guidance = None,
    size: Size = None,
    controls: Controls = None,
    keep_audio: Annotated[
        bool | None,
        typer.Option(
            "--keep-audio/--no-keep-audio",
            help="Copy the sound of the driving video [only for models that keep its scene].",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    set_: Set = None,
    *,
    options: Options,
    as_json: bool,
) -> None:
    """Animate pictures with the motion of videos. Run again, it does what is missing or stale.

    Model, seed, steps, guidance, size and controls apply to requests that leave them empty.
    """
    from jobs.engine.continued import load_continuing
    from jobs.verbs.animate import animate as run

    assignments = perception_settings(
        "animate",
        preset=preset,
        weights=weights,
        allow_torchscript=allow_torchscript,
        download=download,
        licence_check=licence_check,
    )
    assignments += set_ or ()
    if keep_audio is not None:
        assignments.append(f"animate.driving.keep_audio={str(keep_audio).lower()}")
    loaded = load_continuing("animate", out, config, assignments)
    finish(
        lambda console: run(
            out,
            requests=requests,
            reference=reference,
            driving=driving,
            defaults=_request_settings(model, seed, steps, guidance, size, controls),
            config=loaded,
            options=options,
            console=console,
        ),
        as_json,
    )


def _request_settings(
    model: str | None,
    seed: int | None,
    steps: int | None,
    guidance: float | None,
    size: tuple[int, int] | None,
    controls: str | None,
) -> dict[str, Any]:
    """Request columns set by the options."""
    width, height = size or (None, None)
    values = {"model": model, "seed": seed, "num_steps": steps, "guidance_scale": guidance}
    values |= {"width_px": width, "height_px": height, "controls": controls}
    return {name: value for name, value in values.items() if value is not None}
