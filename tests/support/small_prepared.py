"""A dataset as `zoetrope prepare` writes it, without running it: puppets with their true keypoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from models.puppets import render, sample_spec
from models.video.encode import write_h264
from pipelines.ledger import Ledger
from pipelines.schema import CLIP_COLUMNS, OUTCOME_COLUMNS, PREPARED_COLUMNS, PROVENANCE_COLUMNS
from pipelines.storage import Storage

COLUMNS = {**CLIP_COLUMNS, **PREPARED_COLUMNS, **OUTCOME_COLUMNS, **PROVENANCE_COLUMNS}
FPS = 12.0


def write_prepared(
    folder: Path, *, num_clips: int, num_frames: int = 12, size_px: tuple[int, int] = (64, 64), failed: int = 0
) -> Path:
    """`num_clips` clips of one shot each, the last `failed` of them with an outcome other than ok."""
    ledger = Ledger(Storage(str(folder / "prepared")), "clip_id")
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    for index in range(num_clips):
        spec = sample_spec(index, size_px=size_px, num_shots=1, duration_seconds=num_frames / FPS, still_camera=True)
        frames = list(render(spec, FPS, num_frames))
        path = folder / "videos" / f"{index}.mp4"
        write_h264(path, (frame.rgb for frame in frames), fps=FPS)
        keypoints = np.stack([frame.keypoints for frame in frames])
        keypoints[..., 2] /= 2
        row = {
            "clip_id": f"clip-{index:03d}",
            "uri": str(path),
            "fingerprint": f"sha256:{index}",
            "size_bytes": path.stat().st_size,
            "width_px": size_px[1],
            "height_px": size_px[0],
            "fps": FPS,
            "start_seconds": 0.0,
            "num_frames": num_frames,
            "frame_step": 1,
            "work_width_px": size_px[1],
            "work_height_px": size_px[0],
            "keypoints": keypoints,
            "status": "ok" if index < num_clips - failed else "rejected",
            "work_key": f"key-{index}",
            "committed_at": 0,
        }
        ledger.commit(row, pa.schema(list(COLUMNS.items())))
    ledger.compact()
    return folder / "prepared"
