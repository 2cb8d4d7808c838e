"""Small datasets of `animate`, of one colour per model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from models.video.encode import write_h264
from pipelines.animate import WRITTEN
from pipelines.engine.ledger import Ledger
from pipelines.engine.schema import REQUEST_COLUMNS, RESOLVED_COLUMNS, dataset_schema
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.io.storage import VIDEOS, Storage

NUM_FRAMES = 8
FPS = 8


def write_sources(folder: Path, count: int) -> list[dict[str, str]]:
    """Write `count` pictures and driving videos; returns the columns of requests that name them."""
    reader = ClipReader(DecodeConfig())
    rows = []
    for i in range(count):
        picture, driving = folder / f"picture-{i}.png", folder / f"driving-{i}.mp4"
        Image.fromarray(np.full((80, 64, 3), 20 * i, np.uint8)).save(picture)
        frames = np.full((NUM_FRAMES, 64, 64, 3), 10 * i, np.uint8)
        write_h264(driving, frames, fps=FPS)
        rows.append(
            {
                "reference_uri": str(picture),
                "reference_fingerprint": f"sha256:{hashlib.sha256(picture.read_bytes()).hexdigest()}",
                "driving_uri": str(driving),
                "driving_fingerprint": reader.inspect(str(driving))["fingerprint"],
            }
        )
    reader.close()
    return rows


def write_results(
    folder: Path,
    model: str,
    sources: list[dict[str, str]],
    colour: tuple[int, int, int],
    *,
    failed: int = 0,
    prefix: str = "",
) -> Ledger:
    """Add an animation of one colour for each source to the dataset `folder`; the last `failed` rows have none."""
    ledger = Ledger(Storage(str(folder)), "request_id")
    schema = dataset_schema("animate", pa.schema({**REQUEST_COLUMNS, **RESOLVED_COLUMNS}), WRITTEN)
    (folder / VIDEOS).mkdir(parents=True, exist_ok=True)
    for i, source in enumerate(sources):
        name = f"{VIDEOS}/{prefix}{i}.{model}.mp4"
        frames = np.full((NUM_FRAMES, 80, 64, 3), colour, np.uint8)
        frames[:, : 4 * i + 4] = 255  # no two videos are the same
        write_h264(folder / name, frames, fps=FPS)
        is_ok = i < len(sources) - failed
        row = {
            **source,
            "request_id": f"{prefix}{i}.{model}",
            "model": model,
            "seed": 0,
            "status": "ok" if is_ok else "failed",
            "video_uri": name if is_ok else None,
            "num_frames": NUM_FRAMES,
            "fps": FPS,
            "attempts": 1,
            "work_key": hashlib.sha256(f"{prefix}{i}.{model}".encode()).hexdigest(),
        }
        ledger.commit(row, schema)
    ledger.compact()
    return ledger
