"""Prompts of objects, from a table to the clips of the shots in which they lie."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, ManifestError
from pipelines.engine.schema import PROMPT
from pipelines.engine.sources import folder_of

Prompt = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptsConfig:
    """Settings of object prompts.

    Args:
        max_distance_seconds: longest time between a clip and a prompt outside it. The object is tracked all the way,
            once for each clip.
    """

    max_distance_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.max_distance_seconds < float("inf"):
            raise ValueError(f"expected a finite max_distance_seconds >= 0, got {self.max_distance_seconds}")


@dataclass(frozen=True, kw_only=True, slots=True)
class AssignedPrompts:
    """Prompts of each clip of a video, in the order of its windows.

    `shots`: start and end of each clip's shot; None for videos without shots. `num_used`: number of the video's prompts
    that lie in a shot with clips. `num_too_distant`: number of objects without a prompt in a clip of their shot, as
    `max_distance_seconds` forbids it.
    """

    by_clip: list[list[Prompt]]
    shots: list[tuple[float, float] | None]
    num_used: int
    num_too_distant: int


def assign_prompts(video: Mapping[str, Any], prompts: Sequence[Prompt], config: PromptsConfig) -> AssignedPrompts:
    """Assign the prompts of a video to its clips.

    A clip has prompts of each object that is prompted in its shot: all inside the clip, or those at the nearest time.
    Where shots are not known, a clip is a shot.
    """
    by_clip, shots = [], []
    used: set[int] = set()
    num_too_distant = 0
    for window in video["windows"]:
        start = window["start_seconds"]
        end = start + window["num_frames"] * window["frame_step"] / video["fps"]
        shot = _shot_of(video, start)
        first, last = shot or (start, end)
        objects: dict[str, list[Prompt]] = {}
        for number, prompt in enumerate(prompts):
            if first <= prompt["seconds"] < last:
                used.add(number)
                objects.setdefault(prompt["object_id"], []).append(prompt)
        nearest = [_nearest(each, start, end) for each in objects.values()]
        near = [each for each in nearest if _distance(each[0], start, end) <= config.max_distance_seconds]
        by_clip.append([prompt for each in near for prompt in each])
        shots.append(shot)
        num_too_distant += len(nearest) - len(near)
    return AssignedPrompts(by_clip=by_clip, shots=shots, num_used=len(used), num_too_distant=num_too_distant)


def _shot_of(video: Mapping[str, Any], seconds: float) -> tuple[float, float] | None:
    starts = video.get("shot_starts_seconds")
    if not starts:
        return None
    number = max(0, bisect_right(starts, seconds) - 1)
    return starts[number], video["shot_ends_seconds"][number]


def _nearest(prompts: Sequence[Prompt], start_seconds: float, end_seconds: float) -> list[Prompt]:
    inside = [prompt for prompt in prompts if start_seconds <= prompt["seconds"] < end_seconds]
    nearest = min(prompts, key=lambda prompt: _distance(prompt, start_seconds, end_seconds))
    return inside or [prompt for prompt in prompts if prompt["seconds"] == nearest["seconds"]]


def _distance(prompt: Prompt, start_seconds: float, end_seconds: float) -> float:
    return float(max(start_seconds - prompt["seconds"], prompt["seconds"] - end_seconds, 0.0))


def check_objects(url: str) -> None:
    """Validate a table of object prompts. Raises ManifestError if it is invalid."""
    with duckdb.connect() as connection:
        prompts_relation(connection, url)


def prompts_relation(connection: duckdb.DuckDBPyConnection, url: str) -> str:
    """SQL of the validated table of prompts, with absolute URIs. Raises ManifestError."""
    kinds = {item.name: item.type for item in PROMPT}
    manifest = Manifest(
        url=url,
        id_column="object_id",
        required={"object_id": kinds["object_id"], "seconds": kinds["seconds"]},
        optional={"video_id": pa.string(), "uri": pa.string(), "box": kinds["box"], "points": kinds["points"]},
    )
    relation = manifest.relation(connection)
    faults = {
        "video_id IS NULL AND uri IS NULL": "neither video_id nor uri",
        "box IS NULL AND points IS NULL": "neither box nor points",
        "box IS NOT NULL AND (len(box) != 4 OR box[1] >= box[3] OR box[2] >= box[4])": "a box without x0 < x1, y0 < y1",
        "NOT isfinite(seconds)": "a time that is not a number",
    }
    for condition, fault in faults.items():
        bad = connection.execute(f"SELECT object_id FROM {relation} WHERE {condition} LIMIT 1").fetchall()  # noqa: S608
        if bad:
            raise ManifestError(f"{url}: the prompt of object {bad[0][0]!r:.60} has {fault}")
    base = folder_of(url).replace("'", "''")
    absolute = f"CASE WHEN contains(uri, '://') OR starts_with(uri, '/') THEN uri ELSE '{base}/' || uri END"
    return f"(SELECT * REPLACE ({absolute} AS uri) FROM {relation})"  # noqa: S608


def prompts_by_video(
    connection: duckdb.DuckDBPyConnection, videos: Ledger, name: str, prompts: str
) -> dict[str, list[dict[str, Any]]]:
    """Prompts by `video_id`, for the videos of one data file. Prompts refer to videos by id or by URI."""
    if not prompts:
        return {}
    path = videos.duckdb_path(connection, name).replace("'", "''")
    joins = " UNION ".join(
        f"SELECT v.video_id, p.object_id, p.seconds, p.box, p.points FROM read_parquet('{path}') v "  # noqa: S608
        f"JOIN {prompts} p ON {condition}"
        for condition in ("p.video_id = v.video_id", "p.uri = v.uri")
    )
    rows = connection.execute(f"SELECT * FROM ({joins}) ORDER BY video_id, object_id, seconds").fetchall()  # noqa: S608
    grouped: dict[str, list[dict[str, Any]]] = {}
    for video_id, object_id, seconds, box, points in rows:
        prompt = {"object_id": object_id, "seconds": seconds, "box": box, "points": points}
        grouped.setdefault(video_id, []).append(prompt)
    return grouped
