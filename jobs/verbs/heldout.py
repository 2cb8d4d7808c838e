"""`zoetrope evaluate draw`: animation requests for held-out puppets, with the true video of each."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.training.requested_models import request_id_parts
from jobs.training.trained_models import open_trained
from models.animation.system import Variant
from models.puppets import PuppetVideoSpec, object_prompts, render, sample_pair, sample_portrait_pair
from models.puppets.pairs import sample_scene_pair
from models.systems import find_model, model_names
from models.video.encode import write_h264
from models.weights.local import is_path
from pipelines.engine.schema import REQUEST_COLUMNS
from pipelines.engine.tables import publish_table
from stages.io.storage import Storage

logger = logging.getLogger(__name__)

Task = Literal["figures", "creatures", "portraits", "scenes"]
TASKS: tuple[Task, ...] = get_args(Task)
"""A human, and a character that is not human, by the motion of a human elsewhere; a talking character before moving
scenery; a character in the scene of a video."""

TRUTH_CRF = 10
"""Loss of the true videos, well below the differences to measure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldoutRequestsConfig:
    """Held-out puppets to animate.

    Args:
        tasks: tasks to draw.
        num_pairs, first_seed: number of pairs per task, and seed of the first.
        side_px: height of the frames; portraits are 3/4 as wide, the others square.
        fps, duration_seconds: of all videos.
        models: names of models, or places of trained ones; empty: those that ship.
    """

    tasks: tuple[Task, ...] = TASKS
    num_pairs: int = 16
    first_seed: int = 0
    side_px: int = 192
    fps: float = 8.0
    duration_seconds: float = 2.0
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.tasks) - set(TASKS)):
            raise ValueError(f"unknown task '{unknown[0]}', expected some of {', '.join(TASKS)}")
        if self.num_pairs < 1 or self.first_seed < 0 or self.num_frames < 2:
            raise ValueError(f"expected a pair or more, seeds of 0 or more, and two frames or more, got {self}")
        if self.side_px % 8:
            raise ValueError(f"side_px is {self.side_px}, expected a multiple of 8")

    @property
    def num_frames(self) -> int:
        """Number of frames of each video."""
        return round(self.duration_seconds * self.fps)

    def size_px(self, task: Task) -> tuple[int, int]:
        """(height, width) of the frames of a task."""
        return self.side_px, self.side_px * 3 // 4 if task == "portraits" else self.side_px


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pair:
    """Videos of a pair; the reference picture is the first frame of `reference`."""

    reference: PuppetVideoSpec
    driving: PuppetVideoSpec
    truth: PuppetVideoSpec


def draw_heldout(out: Path, config: HeldoutRequestsConfig, *, console: Console) -> JobResult:
    """Draw pictures, driving videos and true videos, and write `requests.parquet` for the models of the configuration.

    Models that keep the scene get the task "scenes", the others get all other tasks, except that models which read the
    driving face get "portraits" only. The columns `task` and `truth_uri` are added to those of a request.
    Deterministic: an interrupted call is completed by repeating it.

    Raises:
        UnknownModelError, CheckpointError: a model is not found.
        ValueError: two trained models have the same name, or no task is for the models.
    """
    names = config.models or [name for name in model_names() if find_model(name).variant.ships]
    id_parts = request_id_parts(names)
    variants = {name: (open_trained(name).model if is_path(name) else find_model(name)).variant for name in names}
    requests: list[dict[str, Any]] = []
    for task in config.tasks:
        given = {name: id_parts[name] for name, variant in variants.items() if gets(task, variant)}
        if not given:
            continue
        for seed in range(config.first_seed, config.first_seed + config.num_pairs):
            requests.extend(_draw(out, task, seed, config, given))
            logger.debug("drew pair %d of %s", seed, task)
    if not requests:
        raise ValueError(f"no task of {', '.join(config.tasks)} is for {', '.join(names)}; leave out --task")
    extra = [("task", pa.string()), ("truth_uri", pa.string())]
    table = pa.Table.from_pylist(requests, schema=pa.schema([*REQUEST_COLUMNS.items(), *extra]))
    storage = Storage(str(out))
    publish_table(storage, "requests.parquet", table)
    url = storage.url_of("requests.parquet")
    console.line(f"held-out puppets: {table.num_rows} requests in {url}")
    return JobResult(exit_code=0, summary={"verb": "evaluate draw", "requests": table.num_rows, "out": url})


def gets(task: Task, variant: Variant) -> bool:
    """Whether a model gets the requests of a task."""
    if variant.keeps_scene or task == "scenes":
        return variant.keeps_scene and task == "scenes"
    return task == "portraits" or not variant.reads_face


def _draw(
    out: Path, task: Task, seed: int, config: HeldoutRequestsConfig, models: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Draw the files of a pair; yields one request per model. `models`: model -> its part of request ids."""
    pair, name = _pair(task, seed, config), f"{task}-{seed:05d}"
    driving = list(render(pair.driving, config.fps, config.num_frames))
    # Absolute, as `pair` writes them: results stand in another folder, and other columns are copied to them unchanged.
    folder = out.resolve()
    reference = folder / "pictures" / f"{name}.png"
    driver, truth = (folder / kind / f"{name}.mp4" for kind in ("driving", "truth"))
    for path in (reference, driver, truth):
        path.parent.mkdir(parents=True, exist_ok=True)
    (first,) = render(pair.reference, config.fps, 1)
    Image.fromarray(first.rgb).save(reference)
    write_h264(driver, (frame.rgb for frame in driving), fps=config.fps, crf=TRUTH_CRF)
    write_h264(truth, _pictures(pair.truth, config), fps=config.fps, crf=TRUTH_CRF)
    height_px, width_px = config.size_px(task)
    request: dict[str, Any] = {
        "reference_uri": str(reference),
        "driving_uri": str(driver),
        "truth_uri": str(truth),
        "task": task,
        "seed": seed,
        "height_px": height_px,
        "width_px": width_px,
    }
    if task == "scenes":
        times = [index / config.fps for index in range(config.num_frames)]
        request["objects"] = object_prompts(pair.driving, driving, times)
    for model, id_part in models.items():
        yield {**request, "request_id": f"{name}.{id_part}", "model": model}


def _pictures(spec: PuppetVideoSpec, config: HeldoutRequestsConfig) -> Iterator[NDArray[np.uint8]]:
    return (frame.rgb for frame in render(spec, config.fps, config.num_frames))


def _pair(task: Task, seed: int, config: HeldoutRequestsConfig) -> _Pair:
    size_px, seconds = config.size_px(task), config.duration_seconds
    if task == "scenes":
        scene = sample_scene_pair(seed, size_px=size_px, duration_seconds=seconds)
        return _Pair(reference=scene.reference, driving=scene.driving, truth=scene.target)
    if task == "portraits":
        portrait = sample_portrait_pair(seed, size_px=size_px, duration_seconds=seconds)
        return _Pair(reference=portrait.target, driving=portrait.driving, truth=portrait.target)
    body: Literal["human", "anthropomorphic"] = "human" if task == "figures" else "anthropomorphic"
    figure = sample_pair(seed, body=body, size_px=size_px, duration_seconds=seconds)
    return _Pair(reference=figure.target, driving=figure.driving, truth=figure.target)
