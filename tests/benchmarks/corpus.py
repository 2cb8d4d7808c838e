"""Clips for the benchmarks: a few puppet videos, named as often as a benchmark needs rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.verbs.puppets import write_puppets
from models.video.container import MediaLimits
from models.video.probe import probe
from pipelines.engine.schema import CLIP_COLUMNS

FPS = 16


def write_clips(root: Path, *, num_videos: int, num_frames: int, size_px: tuple[int, int]) -> list[dict[str, object]]:
    """Draw puppets of `num_frames` frames and return one clip row for each, under `root`."""
    corpus = root / "puppets"
    write_puppets(corpus, num_videos=num_videos, seed=3, size_px=size_px, fps=FPS, seconds=num_frames / FPS)
    rows = []
    for path in sorted((corpus / "videos").glob("*.mp4")):
        info = probe(str(path), MediaLimits())
        rows.append(
            {
                "video_id": path.stem,
                "uri": str(path),
                "fingerprint": f"name:{path.name}",
                "size_bytes": path.stat().st_size,
                "width_px": info.width_px,
                "height_px": info.height_px,
                "fps": info.fps,
                "start_seconds": info.start_seconds,
                "num_frames": num_frames,
                "frame_step": 1,
                "objects": [],
            }
        )
    return rows


def write_manifest(path: Path, rows: list[dict[str, object]], count: int) -> Path:
    """A manifest of `count` clips: the given ones over and over, each under an id of its own."""
    clips = [{"clip_id": f"clip-{i:05d}", **rows[i % len(rows)]} for i in range(count)]
    pq.write_table(pa.Table.from_pylist(clips, schema=pa.schema(list(CLIP_COLUMNS.items()))), path)
    return path
