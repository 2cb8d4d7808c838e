"""A dataset as `zoetrope prepare` writes it, without running it: puppets with their true keypoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.masks.rle import encode
from models.puppets import render, sample_spec
from models.puppets.render import PuppetFrame
from models.puppets.truth_file import write_truth
from models.video.encode import write_h264
from pipelines.engine.ledger import Ledger
from pipelines.engine.schema import CLIP_COLUMNS, OUTCOME_COLUMNS, PREPARED_COLUMNS, PROVENANCE_COLUMNS
from stages.base import Stage
from stages.io.storage import Storage
from stages.prepare.decode import DecodeConfig, DecodeStage
from stages.prepare.features import ClipEmbeddingsConfig, ClipEmbeddingsStage, VaeLatentsConfig, VaeLatentsStage
from stages.prepare.structured_depth import StructuredDepthConfig, StructuredDepthStage

COLUMNS = {**CLIP_COLUMNS, **PREPARED_COLUMNS, **OUTCOME_COLUMNS, **PROVENANCE_COLUMNS}
FPS = 12.0


def write_prepared(
    folder: Path,
    *,
    num_clips: int,
    num_frames: int = 12,
    size_px: tuple[int, int] = (64, 64),
    failed: int = 0,
    features: bool = False,
    scene: bool = False,
) -> Path:
    """`num_clips` clips of one shot each, the last `failed` of them with an outcome other than ok. `features`: with
    what the embedded VAE and image encoder make of their frames. `scene`: with true masks and structured depth, and
    their ground truth in the folder `truth` beside the dataset.
    """
    ledger = Ledger(Storage(str(folder / "prepared")), "clip_id")
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    stages: list[Stage[Any]] = []
    if features:
        stages = [
            DecodeStage(DecodeConfig(short_side_px=min(size_px))),
            ClipEmbeddingsStage(ClipEmbeddingsConfig(enabled=True)),
            VaeLatentsStage(VaeLatentsConfig(enabled=True)),
        ]
    for stage in stages:
        stage.open()
    for index in range(num_clips):
        spec = sample_spec(index, size_px=size_px, num_shots=1, duration_seconds=num_frames / FPS, still_camera=True)
        frames = list(render(spec, FPS, num_frames))
        seconds = [number / FPS for number in range(num_frames)]
        path = folder / "videos" / f"{index}.mp4"
        write_h264(path, (frame.rgb for frame in frames), fps=FPS)
        keypoints = np.stack([frame.keypoints for frame in frames])
        keypoints[..., 2] /= 2
        row = {
            **clip_row(path, clip_id=f"clip-{index:03d}", num_frames=num_frames, size_px=size_px),
            "keypoints": keypoints,
            "status": "ok" if index < num_clips - failed else "rejected",
            "weights": {name: digest for stage in stages for name, digest in stage.weights().items()},
        }
        if scene:
            row |= _scene(frames, keypoints)
            (folder / "truth").mkdir(exist_ok=True)
            write_truth(folder / "truth" / f"{index}.npz", frames, frame_seconds=seconds, shot_starts_seconds=[0.0])
        for stage in stages:
            row = stage(row)
        row.pop("frames", None)
        ledger.commit(row, pa.schema(list(COLUMNS.items())))
    for stage in stages:
        stage.close()
    ledger.compact()
    return folder / "prepared"


def clip_row(path: Path, *, clip_id: str, num_frames: int, size_px: tuple[int, int]) -> dict[str, Any]:
    """Columns of a prepared clip besides its signals: all of a video of `FPS` frames per second."""
    return {
        "clip_id": clip_id,
        "uri": str(path),
        "fingerprint": f"sha256:{path}",
        "size_bytes": path.stat().st_size,
        "width_px": size_px[1],
        "height_px": size_px[0],
        "fps": FPS,
        "start_seconds": 0.0,
        "num_frames": num_frames,
        "frame_step": 1,
        "work_width_px": size_px[1],
        "work_height_px": size_px[0],
        "frame_seconds": [number / FPS for number in range(num_frames)],
        "status": "ok",
        "work_key": f"key-{clip_id}",
        "committed_at": 0,
        "stage_keys": {"pose": "true"},
    }


def write_clips(
    folder: Path, *, num_clips: int, num_frames: int = 12, size_px: tuple[int, int] = (64, 64), speed_px: float = 2.0
) -> Path:
    """Scenery as `zoetrope ingest` writes it: `num_clips` clips of stripes that fall, without a character."""
    (folder / "scenery").mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(num_clips):
        path = folder / "scenery" / f"fall-{index}.mp4"
        places = np.arange(size_px[0])[:, None, None] - speed_px * np.arange(num_frames)[:, None, None, None]
        stripes = np.broadcast_to(np.sin((places + index) / 3) * 90 + 120, (num_frames, *size_px, 3))
        write_h264(path, (frame.astype(np.uint8) for frame in stripes), fps=FPS)
        rows.append(clip_row(path, clip_id=f"fall-{index:03d}", num_frames=num_frames, size_px=size_px))
    (folder / "clips").mkdir()
    pq.write_table(
        pa.Table.from_pylist(rows, pa.schema(list(CLIP_COLUMNS.items()))), folder / "clips" / "rows-000000.parquet"
    )
    return folder / "clips"


def _scene(frames: list[PuppetFrame], keypoints: NDArray[np.float32]) -> dict[str, Any]:
    """Columns of masks, prompted objects and structured depth."""
    depth = np.stack([frame.depth for frame in frames])
    coded = StructuredDepthStage(StructuredDepthConfig()).process({"keypoints": keypoints, "depth": depth})
    objects = {name: np.stack([frame.object_masks[name] for frame in frames]) for name in frames[0].object_masks}
    return {
        **coded,
        "character_mask": encode(np.stack([frame.character_mask for frame in frames])),
        "object_masks": [{"object_id": name, "masks": encode(masks)} for name, masks in objects.items()],
        "objects": [{"object_id": name, "seconds": 0.0} for name in objects],
    }
