"""Measures of a training run on its held-out clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.training.samples import ClipAnimator
from models.metrics.measures import MEASURES
from models.training.batch import SampleBatch
from pipelines.engine.tables import publish_table
from stages.evaluate.pixels import PixelsConfig, PixelsStage
from stages.evaluate.temporal import TemporalConfig, TemporalStage
from stages.io.storage import Storage

HELDOUT = "heldout.parquet"
STAGES = (PixelsStage(PixelsConfig()), TemporalStage(TemporalConfig()))
_MEASURES = [measure for measure in MEASURES.values() if measure.stage in {stage.name for stage in STAGES}]
COLUMNS = [
    column
    for measure in _MEASURES
    for column in (measure.name, *([f"{measure.name}_truth"] if measure.has_truth else []))
]
"""Columns of `HELDOUT` besides `step` and `clip_id`, as the stages of `zoetrope evaluate` compute them."""
_SCHEMA = pa.schema([("step", pa.int64()), ("clip_id", pa.string()), *((name, pa.float64()) for name in COLUMNS)])


class HeldoutClips:
    """Held-out clips: the first frame of each is animated by the clip's own skeletons and compared with its frames.

    Args:
        clip_ids: one for each of `clips`.
        clips: samples with batch size 1 and pictures (`SampleMaker.beginning`).
    """

    def __init__(self, clip_ids: Sequence[str], clips: Sequence[SampleBatch]) -> None:
        self._clips = list(zip(clip_ids, clips, strict=True))

    def measure(self, animator: ClipAnimator, storage: Storage, *, step: int) -> dict[str, float]:
        """Add one row per clip to `HELDOUT`, in place of rows of this step and later ones, which a killed run left.

        Returns the mean of each measure over the clips that have it.
        """
        rows = [
            {"step": step, "clip_id": clip_id, **_measures(animator.animate(clip, seed=seed), clip)}
            for seed, (clip_id, clip) in enumerate(self._clips)
        ]
        table = pa.Table.from_pylist(rows, _SCHEMA)
        if storage.exists(HELDOUT):
            earlier = pq.read_table(pa.BufferReader(storage.read(HELDOUT)), schema=_SCHEMA)
            table = pa.concat_tables([earlier.filter(pa.array(earlier["step"].to_numpy() < step)), table])
        publish_table(storage, HELDOUT, table)
        known = {name: [row[name] for row in rows if row[name] is not None] for name in COLUMNS}
        return {name: float(np.mean(values)) for name, values in known.items() if values}


def _measures(animation_THWC: Any, clip: SampleBatch) -> Mapping[str, Any]:
    assert clip.targets_BFHWC is not None
    row: dict[str, Any] = {
        "animation_frames": animation_THWC,
        "truth_frames": clip.targets_BFHWC[0],
        "window_borders": None,
    }
    for stage in STAGES:
        row = stage(row)
    return {name: row[name] for name in COLUMNS}
