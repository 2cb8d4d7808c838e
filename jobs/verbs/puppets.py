"""`zoetrope puppets`: a corpus of puppet videos with ground truth."""

from __future__ import annotations

import logging
import multiprocessing
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import pyarrow as pa

from models.puppets import (
    Body,
    PuppetVideoSpec,
    Split,
    face_twin,
    living_scene,
    object_prompts,
    render_frame,
    sample_figure,
    sample_interaction,
    sample_portrait,
    sample_spec,
)
from models.puppets.truth_file import write_truth
from models.video.encode import write_h264
from pipelines.engine.tables import publish_table
from stages.io.storage import Storage

logger = logging.getLogger(__name__)

Kind = Literal["all", "alone", "interacting", "portraits", "scenery"]
"""Kind of a corpus, named after the options of `write_puppets`; "all" without one."""
TWINS = "twins"
"""Folder of the face twins of a corpus of portraits."""
_BODIES: tuple[Body, ...] = ("human", "anthropomorphic")
_MAX_VIDEOS = 1_000_000

PUPPETS_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("uri", pa.string()),
        ("seed", pa.int64()),
        ("split", pa.string()),
        ("body", pa.string()),
        ("character", pa.string()),
        ("motion", pa.string()),
        ("interaction", pa.string()),
        ("num_shots", pa.int32()),
    ]
)
OBJECTS_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("uri", pa.string()),
        ("object_id", pa.string()),
        ("seconds", pa.float64()),
        ("box", pa.list_(pa.float64())),
    ]
)


_Drawn = tuple[dict[str, Any], list[dict[str, Any]]]
"""Row of a video, and its object prompts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetCorpus:
    """Location and size of a written corpus."""

    out: Path
    num_videos: int
    num_frames: int
    num_object_prompts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    out: Path
    video_id: str
    seed: int
    split: Split
    body: Body
    size_px: tuple[int, int]
    fps: float
    num_frames: int
    improvised: bool
    kind: Kind


def write_puppets(
    out: Path,
    *,
    num_videos: int,
    seed: int,
    split: Split = "train",
    body: Body | None = None,
    size_px: tuple[int, int] = (448, 320),
    fps: float = 16.0,
    seconds: float = 4.0,
    num_processes: int = 2,
    improvised_share: float = 0.0,
    alone: bool = False,
    interacting: bool = False,
    portraits: bool = False,
    scenery: bool = False,
) -> PuppetCorpus:
    """Render `num_videos` puppet videos of `size_px` (height, width), with body type `body` or both in turn.

    `improvised_share`: share of the videos with random poses instead of a motion of the split, for training.
    `alone`: a whole figure that initially faces the camera, in one shot, without objects or camera motion
    (`models.puppets.sample_figure`): easier training data for animation.
    `interacting`: a whole human figure that handles or meets objects, in one shot, without camera motion
    (`models.puppets.sample_interaction`): training data for systems that keep the scene.
    `portraits`: talking, gesturing characters, head and shoulders, before scenery that moves by itself
    (`models.puppets.sample_portrait`), and the face twins of all of them.
    `scenery`: such scenery without a character (`models.puppets.living_scene`): training data to `ingest` only.

    Writes, under `out`:

    - `videos/<video_id>.mp4`: H.264.
    - `truth/<video_id>.npz`: the exact ground truth (`models.puppets.truth_file` reads it).
    - `objects.parquet`: object prompts, one per object and shot: the first frame of the shot in which at least 80% of
      the object's largest visible area shows, and its box (x0, y0, x1, y1), centres of its outermost pixels; `uri` is
      relative to `out`.
    - `puppets.parquet`: one row per video; `uri` is relative to `out`. `sample_spec` (with `alone`,
      `sample_figure`; with `interacting`, `sample_interaction`, whose kind is the column `interaction`; and so on)
      recreates the spec of a video from `seed`, `split`, `body`, size and duration (`improvised` if the motion is
      `improvise`).
    - `twins/`, with `portraits`: a second corpus under the same video ids, in which another character performs the same
      motion and speech, frame by frame, with its head at the same place (`models.puppets.face_twin`).

    Output is deterministic, so an interrupted call is completed by repeating it.

    Raises:
        ValueError: an argument out of range, an odd size, or options that exclude one another.
    """
    if not 1 <= num_videos <= _MAX_VIDEOS:
        raise ValueError(f"num_videos is {num_videos}, expected 1 to {_MAX_VIDEOS}")
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected 0 or more")
    if size_px[0] % 2 or size_px[1] % 2:
        raise ValueError(f"size_px is {size_px}, expected even numbers (height, width): H.264 needs them")
    num_frames = round(seconds * fps)
    if fps <= 0 or num_frames < 1:
        raise ValueError(f"{seconds} s at {fps} frames per second gives no frame, expected at least one")
    if not 0 <= improvised_share <= 1:
        raise ValueError(f"improvised_share is {improvised_share}, expected 0 to 1")
    kind = _kind(alone=alone, interacting=interacting, portraits=portraits, scenery=scenery)
    if improvised_share and kind in {"portraits", "scenery"}:
        raise ValueError(f"improvised_share is {improvised_share}, expected 0 with {kind}: they have no random poses")
    if interacting and body == "anthropomorphic":
        raise ValueError(f"body is '{body}', expected 'human' or None with interacting: they all are human")
    if num_processes < 1:
        raise ValueError(f"num_processes is {num_processes}, expected 1 or more")
    out = Path(out)
    tasks = [
        _Task(
            out=out,
            video_id=f"puppet-{split}-{seed}-{index:05d}",
            seed=seed * _MAX_VIDEOS + index,
            split=split,
            body="human" if interacting else body or _BODIES[index % len(_BODIES)],
            size_px=size_px,
            fps=fps,
            num_frames=num_frames,
            improvised=random.Random(f"improvised-{seed}-{index}").random() < improvised_share,
            kind=kind,
        )
        for index in range(num_videos)
    ]
    num_prompts = _write(out, tasks, _draw, num_processes)
    if kind == "portraits":
        _write(out / TWINS, tasks, _draw_twin, num_processes)
    return PuppetCorpus(
        out=out, num_videos=num_videos, num_frames=num_videos * num_frames, num_object_prompts=num_prompts
    )


def _kind(**options: bool) -> Kind:
    chosen = [name for name, given in options.items() if given]
    if len(chosen) > 1:
        raise ValueError(f"got {' and '.join(chosen)}, expected one of them: each is a kind of video of its own")
    return cast(Kind, chosen[0]) if chosen else "all"


def _write(out: Path, tasks: list[_Task], draw: Callable[[_Task], _Drawn], num_processes: int) -> int:
    """Render the videos and publish their tables. Returns the number of object prompts."""
    for folder in ("videos", "truth"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    puppets: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    for row, prompts in _draw_all(tasks, draw, num_processes):
        puppets.append(row)
        objects.extend(prompts)
        logger.debug("drew %s", row["video_id"])
    storage = Storage(str(out))
    publish_table(storage, "objects.parquet", pa.Table.from_pylist(objects, schema=OBJECTS_SCHEMA))
    publish_table(storage, "puppets.parquet", pa.Table.from_pylist(puppets, schema=PUPPETS_SCHEMA))
    return len(objects)


def _draw_all(tasks: list[_Task], draw: Callable[[_Task], _Drawn], num_processes: int) -> Iterator[_Drawn]:
    num_processes = min(num_processes, len(tasks))
    if num_processes == 1:
        yield from map(draw, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_processes, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(draw, tasks)


def _draw(task: _Task) -> _Drawn:
    return _render(task, _spec(task), task.out)


def _draw_twin(task: _Task) -> _Drawn:
    return _render(task, face_twin(_spec(task), task.seed), task.out / TWINS)


def _render(task: _Task, spec: PuppetVideoSpec, out: Path) -> _Drawn:
    """Render one video; returns its row and its object prompts."""
    times = [index / task.fps for index in range(task.num_frames)]
    frames = [render_frame(spec, time) for time in times]
    uri = f"videos/{task.video_id}.mp4"
    write_h264(out / uri, (frame.rgb for frame in frames), fps=task.fps)
    write_truth(
        out / "truth" / f"{task.video_id}.npz",
        frames,
        frame_seconds=times,
        shot_starts_seconds=spec.shot_starts_seconds,
    )
    row = {
        "video_id": task.video_id,
        "uri": uri,
        "seed": task.seed,
        "split": spec.split,
        "body": spec.character.body,
        "character": spec.character.recipe,
        "motion": spec.motion.name,
        "interaction": spec.interaction and spec.interaction.kind,
        "num_shots": len(spec.shots),
    }
    return row, [{"video_id": task.video_id, "uri": uri, **prompt} for prompt in object_prompts(spec, frames, times)]


def _spec(task: _Task) -> PuppetVideoSpec:
    duration_seconds = task.num_frames / task.fps
    split, size_px = task.split, task.size_px
    if task.kind == "scenery":
        return living_scene(task.seed, split=split, size_px=size_px, duration_seconds=duration_seconds)
    if task.kind == "portraits":
        return sample_portrait(
            task.seed, split=split, body=task.body, size_px=size_px, duration_seconds=duration_seconds
        )
    if task.kind == "interacting":
        return sample_interaction(
            task.seed, split=split, size_px=size_px, duration_seconds=duration_seconds, improvised=task.improvised
        )
    sample = sample_figure if task.kind == "alone" else sample_spec
    return sample(
        task.seed,
        split=split,
        body=task.body,
        size_px=size_px,
        duration_seconds=duration_seconds,
        improvised=task.improvised,
    )
