"""`zoetrope demo`: the whole pipeline on generated puppets, without external data or weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from jobs.engine import config as configuration
from jobs.engine.console import Console
from jobs.engine.ray_runtime import cluster
from jobs.engine.spec import JobResult, Options
from jobs.verbs.animate import animate
from jobs.verbs.ingest import ingest
from jobs.verbs.prepare import prepare
from jobs.verbs.puppets import write_puppets
from models.puppets.pairs import sample_pair
from models.puppets.portrait import sample_portrait_pair
from models.puppets.render import render, render_frame
from models.puppets.spec import Body
from models.systems import DEFAULT_MODEL, shipped_models
from models.video.encode import write_h264
from pipelines.engine.tables import publish_table
from pipelines.requests import pair
from stages.io.storage import Storage
from stages.io.uri_gate import DEFAULT_SCHEMES

SEED = 87
"""Seed of puppet videos with humans and other characters, several motions and places, objects, and a cut."""
CHARACTERS: Mapping[Body, tuple[int, ...]] = {"human": (1, 2, 3), "anthropomorphic": (4, 5, 11)}
"""Seeds of the characters to animate, all held out from training."""
DANCES_SEED = 10
"""Seed of the driving videos."""
NUM_DANCES = 3
NUM_PAIRS = 6
SCENES_SEED = 1
"""Seed of videos in which a ball is thrown, somebody walks behind things, and somebody sits down."""
NUM_SCENES = 3
PORTRAITS = (69, 7)
"""Seeds of talking, waving characters before a waterfall and before a fire, held out from training."""
PORTRAIT_SIZE_PX = (192, 144)
"""Height and width, as in training."""
FPS, SECONDS = 8.0, 3.0
"""Of the driving videos of pictures."""


def demo(out: Path, *, num_videos: int, console: Console) -> JobResult:
    """Draw puppets, ingest and prepare them, and animate pictures of characters. Run again, it does only what is
    missing.
    """
    corpus = out / "puppets"
    console.line(f"drawing {num_videos} puppet videos in {corpus}")
    write_puppets(corpus, num_videos=num_videos, seed=SEED, seconds=3.0)
    config = configuration.load(None, ["prepare.preset=puppets", "animate.preset=puppets"])
    options = Options(tracking_uri=f"sqlite:///{(out / 'mlflow.db').resolve()}")
    with cluster(None):
        ingested = ingest(
            [str(corpus / "puppets.parquet")],
            str(out),
            objects=str(corpus / "objects.parquet"),
            config=config,
            options=options,
            console=console,
        )
        if ingested.exit_code:
            return ingested
        prepared = prepare(str(out / "clips"), str(out / "prepared"), config=config, options=options, console=console)
        if prepared.exit_code:
            return prepared
        requests = draw_requests(out, console)
        animated = animate(str(out / "animations"), requests=requests, config=config, options=options, console=console)
    console.line("")
    console.line(f"animations:         {Path(animated.summary['report']).resolve()}")
    console.line(f"prepared clips:     {Path(prepared.summary['report']).resolve()}")
    console.line(f"read the dataset:   {(out / 'prepared').resolve()} (any Parquet reader)")
    mlflow = Path(sys.executable).with_name("mlflow")
    console.line(f"browse the runs:    {mlflow} ui --backend-store-uri {options.tracking_uri}")
    return animated


def draw_requests(out: Path, console: Console) -> str:
    """Draw pictures of `CHARACTERS` and driving videos; returns the table of requests, for every embedded model."""
    characters, dances, requests = out / "characters", out / "dances", str(out / "requests.parquet")
    characters.mkdir(parents=True, exist_ok=True)
    for body, seeds in CHARACTERS.items():
        for seed in seeds:
            spec = sample_pair(seed, body=body, size_px=(384, 384)).target
            Image.fromarray(render_frame(spec, 0.0).rgb).save(_picture(characters, body, seed))
    write_puppets(
        dances,
        num_videos=NUM_DANCES,
        seed=DANCES_SEED,
        split="heldout",
        body="human",
        alone=True,
        fps=FPS,
        seconds=SECONDS,
    )
    pairs = pair(
        [str(characters)],
        str(dances / "videos"),
        allowed_schemes=DEFAULT_SCHEMES,
        settings={},
        models=shipped_models(),
        limit=NUM_PAIRS,
    )
    others = (*_scene_requests(out / "scenes", characters), *_portrait_requests(out / "portraits"))
    table = pa.concat_tables([pairs, *others])
    publish_table(Storage(str(out)), "requests.parquet", table)
    console.line(f"pair: {table.num_rows} requests in {requests}")
    return requests


def _scene_requests(scenes: Path, characters: Path) -> Iterator[pa.Table]:
    """Requests that set one human each into a video in which somebody else handles or meets things."""
    write_puppets(
        scenes,
        num_videos=NUM_SCENES,
        seed=SCENES_SEED,
        split="heldout",
        size_px=(384, 288),
        interacting=True,
        fps=8.0,
        seconds=2.0,
    )
    prompts = pq.read_table(scenes / "objects.parquet").to_pylist()
    for video, seed in zip(sorted((scenes / "videos").iterdir()), CHARACTERS["human"], strict=True):
        objects = [
            {"object_id": prompt["object_id"], "seconds": prompt["seconds"], "box": prompt["box"]}
            for prompt in prompts
            if prompt["video_id"] == video.stem
        ]
        picture = _picture(characters, "human", seed)
        yield _pair_of(picture, video, settings={"objects": objects}, models=shipped_models(keeps_scene=True))


def _portrait_requests(portraits: Path) -> Iterator[pa.Table]:
    """Requests that animate talking characters by models that read faces and, for comparison, by the default model; and
    the first of them by the body alone.
    """
    portraits.mkdir(parents=True, exist_ok=True)
    height_px, width_px = PORTRAIT_SIZE_PX
    size: dict[str, Any] = {"height_px": height_px, "width_px": width_px}
    readers = shipped_models(reads_face=True)
    for seed in PORTRAITS:
        picture, video = portraits / f"portrait-{seed}.png", portraits / f"talk-{seed}.mp4"
        _draw_portrait(seed, picture, video)
        requests = _pair_of(picture, video, settings=size, models=[DEFAULT_MODEL, *readers])
        yield requests
        if seed == PORTRAITS[0]:
            by_faces = [row for row in requests.to_pylist() if row["model"] in readers]
            alone = [{**row, "request_id": f"{row['request_id']}.body", "controls": "body"} for row in by_faces]
            yield pa.Table.from_pylist(alone, schema=requests.schema)


def _draw_portrait(seed: int, picture: Path, video: Path) -> None:
    pair = sample_portrait_pair(seed, size_px=PORTRAIT_SIZE_PX, duration_seconds=SECONDS)
    Image.fromarray(render_frame(pair.target, 0.0).rgb).save(picture)
    write_h264(video, (frame.rgb for frame in render(pair.driving, FPS, round(FPS * SECONDS))), fps=FPS)


def _picture(folder: Path, body: Body, seed: int) -> Path:
    return folder / f"{body}-{seed}.png"


def _pair_of(picture: Path, video: Path, *, settings: Mapping[str, Any], models: Sequence[str]) -> pa.Table:
    return pair([str(picture)], str(video), allowed_schemes=DEFAULT_SCHEMES, settings=settings, models=models)
