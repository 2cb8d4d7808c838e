"""Pipeline of `zoetrope ingest`: sources → `videos` (metadata, shots, windows) → `clips` (one row per window)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.columns import CORPUS_COLUMNS, own_columns
from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, ManifestError
from pipelines.engine.schema import CLIP_COLUMNS, PROMPT, SCHEMA_VERSION, VIDEO_COLUMNS
from pipelines.engine.sources import folder_of, joined_id
from pipelines.engine.steps import Step, Workers
from pipelines.engine.tables import describe_dataset, publish_table
from stages.base import Stage
from stages.ingest.cut import CutConfig, CutStage
from stages.ingest.probe import ProbeConfig, ProbeStage
from stages.io.storage import Storage
from stages.outcome import Status

KEY_COLUMNS = ("uri", "source_stamp")

WINDOW = pa.struct(
    [
        ("start_seconds", pa.float64()),
        *((name, pa.int32()) for name in ("num_frames", "frame_step", "width_px", "height_px")),
    ]
)
WRITTEN = {
    **{name: kind for name, kind in VIDEO_COLUMNS.items() if name not in ("video_id", "uri", "source_stamp")},
    "windows": pa.list_(WINDOW),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestConfig:
    """Settings of `zoetrope ingest`."""

    probe: ProbeConfig = field(default_factory=ProbeConfig)
    cut: CutConfig = field(default_factory=CutConfig)


def steps(config: IngestConfig, workers: Mapping[str, Workers]) -> list[Step]:
    """Steps `probe` and `cut`."""
    stages: list[Stage[Any]] = [ProbeStage(config.probe), CutStage(config.cut)]
    return [Step(stage=stage, workers=workers[stage.name]) for stage in stages]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipsWritten:
    """Counts of `write_clips`. `num_prompts_unused`: prompts without a video, or at a time outside its clips."""

    num_clips: int
    num_prompts: int
    num_prompts_unused: int


def write_clips(videos: Ledger, clips: Storage, objects_url: str | None) -> ClipsWritten:
    """Write `clips`: one row per window of the `videos` with status ok.

    Each data file of `videos` yields the file of the same name in `clips`, replaced atomically, so that a killed call
    can be repeated. Files in `clips` without a counterpart are deleted.

    Args:
        videos: compacted ledger of videos.
        clips: folder of the clips.
        objects_url: Parquet or CSV table of object prompts: `video_id` or `uri`, `object_id`, `seconds`, and `box`
            (x0, y0, x1, y1) or `points`, in pixels of the video as displayed. Relative URIs are resolved against the
            table's folder. A prompt is assigned to each clip that contains its time.

    Raises:
        ManifestError: an invalid table of prompts.
    """
    own = _own_fields(videos)
    schema = pa.schema(
        [*CLIP_COLUMNS.items(), *own],
        metadata={"zoetrope": json.dumps({"dataset": "clips", "schema_version": SCHEMA_VERSION})},
    )
    names = videos.data_names()
    num_clips = num_prompts = 0
    used: set[tuple[Any, ...]] = set()
    with duckdb.connect() as connection:
        prompts = _prompts(connection, objects_url) if objects_url else ""
        if prompts:
            num_prompts = connection.execute(f"SELECT count(*) FROM {prompts}").fetchall()[0][0]  # noqa: S608
        for name in names:
            rows = _clip_rows(
                _read_ok(videos, name), [field.name for field in own], _prompts_of(connection, videos, name, prompts)
            )
            publish_table(clips, name, pa.Table.from_pylist(rows, schema=schema), row_group_size=4096)
            num_clips += len(rows)
            used |= {(row["video_id"], p["object_id"], p["seconds"]) for row in rows for p in row["objects"]}
    for stale in set(clips.names(suffix=".parquet")) - set(names):
        clips.delete(stale)
    describe_dataset(clips)
    return ClipsWritten(
        num_clips=num_clips, num_prompts=num_prompts, num_prompts_unused=max(0, num_prompts - len(used))
    )


def check_objects(url: str) -> None:
    """Validate a table of object prompts. Raises ManifestError if it is invalid."""
    with duckdb.connect() as connection:
        _prompts(connection, url)


def _read_ok(videos: Ledger, name: str) -> list[dict[str, Any]]:
    table = pq.read_table(io.BytesIO(videos.storage.read(name)), filters=[("status", "==", Status.OK.value)])
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _own_fields(videos: Ledger) -> list[pa.Field]:
    """Columns of the lists of sources. All data files of a compacted ledger have the same."""
    names = videos.data_names()
    schema = videos.schema(names[0]) if names else pa.schema([])
    return [schema.field(name) for name in own_columns(schema, CORPUS_COLUMNS)]


def _clip_rows(
    rows: list[dict[str, Any]], own: Sequence[str], prompts: Mapping[str, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    shared = (*own, "video_id", "uri", "fingerprint", "size_bytes", "fps", "frame_conversion")
    clips = []
    for video in rows:
        for number, window in enumerate(video["windows"]):
            start = window["start_seconds"]
            end = start + window["num_frames"] * window["frame_step"] / video["fps"]
            inside = [prompt for prompt in prompts.get(video["video_id"], []) if start <= prompt["seconds"] < end]
            clips.append(
                {
                    "clip_id": joined_id(video["video_id"], f"{number:05d}"),
                    **{column: video.get(column) for column in shared},
                    **_window(video, window),
                    "objects": inside,
                }
            )
    return clips


def _window(video: Mapping[str, Any], window: Mapping[str, Any]) -> dict[str, Any]:
    """A window with its size; windows of earlier versions have none, as all shots of a video had one."""
    sizes = {name: window.get(name) or video[name] for name in ("width_px", "height_px")}
    return {**window, **sizes}


def _prompts(connection: duckdb.DuckDBPyConnection, url: str) -> str:
    """SQL of the validated table of prompts, with absolute URIs."""
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


def _prompts_of(
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
