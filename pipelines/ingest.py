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
from pipelines.engine.schema import CLIP_COLUMNS, SCHEMA_VERSION, VIDEO_COLUMNS
from pipelines.engine.sources import joined_id
from pipelines.engine.steps import Step, Workers
from pipelines.engine.tables import describe_dataset, publish_table
from pipelines.prompts import AssignedPrompts, PromptsConfig, assign_prompts, prompts_by_video, prompts_relation
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
    prompts: PromptsConfig = field(default_factory=PromptsConfig)


def steps(config: IngestConfig, workers: Mapping[str, Workers]) -> list[Step]:
    """Steps `probe` and `cut`."""
    stages: list[Stage[Any]] = [ProbeStage(config.probe), CutStage(config.cut)]
    return [Step(stage=stage, workers=workers[stage.name]) for stage in stages]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipsWritten:
    """Counts of `write_clips`.

    `num_prompts_unused`: prompts without a video, or at a time in none of its shots that have clips. `num_too_distant`:
    objects that a clip lacks, as their prompts are too distant in time.
    """

    num_clips: int
    num_prompts: int
    num_prompts_unused: int
    num_too_distant: int


def write_clips(
    videos: Ledger, clips: Storage, objects_url: str | None, config: PromptsConfig | None = None
) -> ClipsWritten:
    """Write `clips`: one row per window of the `videos` with status ok.

    Each data file of `videos` yields the file of the same name in `clips`, replaced atomically, so that a killed call
    can be repeated. Files in `clips` without a counterpart are deleted.

    Args:
        videos: compacted ledger of videos.
        clips: folder of the clips.
        objects_url: Parquet or CSV table of object prompts: `video_id` or `uri`, `object_id`, `seconds`, and `box`
            (x0, y0, x1, y1) or `points`, in pixels of the video as displayed. Relative URIs are resolved against the
            table's folder. A prompt is assigned to the clips of the shot that contains its time.
        config: settings of prompts; None: the defaults.

    Raises:
        ManifestError: an invalid table of prompts.
    """
    own = _own_fields(videos)
    schema = pa.schema(
        [*CLIP_COLUMNS.items(), *own],
        metadata={"zoetrope": json.dumps({"dataset": "clips", "schema_version": SCHEMA_VERSION})},
    )
    names = videos.data_names()
    num_clips = num_prompts = num_used = num_too_distant = 0
    with duckdb.connect() as connection:
        prompts = prompts_relation(connection, objects_url) if objects_url else ""
        if prompts:
            num_prompts = connection.execute(f"SELECT count(*) FROM {prompts}").fetchall()[0][0]  # noqa: S608
        for name in names:
            by_video = prompts_by_video(connection, videos, name, prompts)
            rows: list[dict[str, Any]] = []
            for video in _read_ok(videos, name):
                assigned = assign_prompts(video, by_video.get(video["video_id"], []), config or PromptsConfig())
                rows += _clip_rows(video, [field.name for field in own], assigned)
                num_used += assigned.num_used
                num_too_distant += assigned.num_too_distant
            publish_table(clips, name, pa.Table.from_pylist(rows, schema=schema), row_group_size=4096)
            num_clips += len(rows)
    for stale in set(clips.names(suffix=".parquet")) - set(names):
        clips.delete(stale)
    describe_dataset(clips)
    return ClipsWritten(
        num_clips=num_clips,
        num_prompts=num_prompts,
        num_prompts_unused=max(0, num_prompts - num_used),
        num_too_distant=num_too_distant,
    )


def _read_ok(videos: Ledger, name: str) -> list[dict[str, Any]]:
    table = pq.read_table(io.BytesIO(videos.storage.read(name)), filters=[("status", "==", Status.OK.value)])
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _own_fields(videos: Ledger) -> list[pa.Field]:
    """Columns of the lists of sources. All data files of a compacted ledger have the same."""
    names = videos.data_names()
    schema = videos.schema(names[0]) if names else pa.schema([])
    return [schema.field(name) for name in own_columns(schema, CORPUS_COLUMNS)]


def _clip_rows(video: Mapping[str, Any], own: Sequence[str], prompts: AssignedPrompts) -> list[dict[str, Any]]:
    shared = (*own, "video_id", "uri", "fingerprint", "size_bytes", "fps", "frame_conversion")
    return [
        {
            "clip_id": joined_id(video["video_id"], f"{number:05d}"),
            **{column: video.get(column) for column in shared},
            **_window(video, window),
            "objects": objects,
            "shot_start_seconds": shot and shot[0],
            "shot_end_seconds": shot and shot[1],
        }
        for number, (window, objects, shot) in enumerate(
            zip(video["windows"], prompts.by_clip, prompts.shots, strict=True)
        )
    ]


def _window(video: Mapping[str, Any], window: Mapping[str, Any]) -> dict[str, Any]:
    """A window with its size; windows of earlier versions have none, as all shots of a video had one."""
    sizes = {name: window.get(name) or video[name] for name in ("width_px", "height_px")}
    return {**window, **sizes}
