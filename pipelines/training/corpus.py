"""Selection of the prepared clips that a training run uses."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.training.recipe import SamplingConfig
from pipelines.engine.keys import digest
from pipelines.engine.ledger import Ledger
from pipelines.engine.tables import column_names
from pipelines.training.heldout import split_clips
from pipelines.training.pose_pool import pose_pool
from stages.io.storage import Storage
from stages.outcome import Status

CLIP_COLUMNS = (
    *("clip_id", "work_key", "uri", "size_bytes", "fingerprint", "start_seconds", "num_frames", "frame_step", "fps"),
    *("width_px", "height_px", "work_width_px", "work_height_px"),
)


class TrainingDataError(ValueError):
    """The dataset cannot be used for training. The message gives the reason and a remedy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Snapshot of the usable clips of a prepared dataset, taken at the start of a run.

    Args:
        url: URL of the dataset.
        clips: table with `CLIP_COLUMNS` and `file`, sorted by `clip_id`.
        num_too_short: number of clips left out because they have too few frames, scenery included.
        anchors: skeletons for augmentation (`pose_pool`); None without augmentation.
        scenery: clips without a character (`pipelines.training.scenery`), with the same columns; `file` is null. None
            without scenery.
        twins: prepared clips of other characters, one for each of `clips` and in their order
            (`pipelines.training.twins`); None without them.
        heldout: clips of other videos, which are not trained on (`pipelines.training.heldout`); None without them.
        left_out: what else was left out and why, a sentence each.
    """

    url: str
    clips: pa.Table
    num_too_short: int
    anchors: NDArray[np.float32] | None = None
    scenery: pa.Table | None = None
    twins: Corpus | None = None
    heldout: Corpus | None = None
    left_out: tuple[str, ...] = ()

    @property
    def all_clips(self) -> pa.Table:
        """Clips, and after them the scenery."""
        return self.clips if self.scenery is None else pa.concat_tables([self.clips, self.scenery])

    @property
    def digest(self) -> str:
        """Digest of the snapshot: of the ids and work keys of all clips."""
        keys = [self.clips["clip_id"].to_pylist(), self.clips["work_key"].to_pylist()]
        if self.scenery is not None:
            keys += [self.scenery["clip_id"].to_pylist(), self.scenery["work_key"].to_pylist()]
        if self.twins is not None:
            keys.append([self.twins.digest])
        if self.heldout is not None:
            keys.append(["heldout", self.heldout.digest])
        return digest(keys)


def scene_columns(*, truth: bool) -> list[str]:
    """Columns that samples with a scene read besides keypoints; beside ground truth, the prompts of its objects."""
    return ["objects"] if truth else ["character_mask", "object_masks", "depth_png", "depth_min", "depth_max"]


def open_corpus(
    url: str, sampling: SamplingConfig, *, limit: int | None = None, truth: bool = False, num_heldout: int = 0
) -> Corpus:
    """Open the clips of a prepared dataset that have status ok and enough frames for a sample.

    `limit`: use only the first clips by id. `truth`: whether ground truth replaces predicted signals. `num_heldout`:
    number of clips to hold out, with all clips of their videos.

    Raises:
        TrainingDataError: there is no dataset, it lacks a column, it has no such clip, or all would be held out.
    """
    ledger = Ledger(Storage(url), "clip_id")
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        if not relation:
            raise TrainingDataError(f"{url} holds no prepared clips; give the folder that `zoetrope prepare` wrote to")
        present = column_names(connection, relation)
        scene = [] if sampling.scene is None else scene_columns(truth=truth)
        if missing := [name for name in (*CLIP_COLUMNS, "keypoints", "status", *scene) if name not in present]:
            raise TrainingDataError(
                f"{url} lacks the columns {missing}; expected the dataset that `zoetrope prepare` writes"
            )
        columns = ", ".join(CLIP_COLUMNS)
        clips = connection.sql(
            f"SELECT {columns}, parse_filename(filename) AS file FROM {relation} "  # noqa: S608
            f"WHERE status = '{Status.OK}' ORDER BY clip_id"
        ).to_arrow_table()
    if limit is not None:
        clips = clips.slice(0, limit)
    if not len(clips):
        raise TrainingDataError(f"{url} has no clip with status ok; its report lists the reasons")
    lengths = clips["num_frames"].to_numpy()
    long_enough = lengths >= sampling.span
    if not long_enough.any():
        raise TrainingDataError(
            f"a sample spans {sampling.span} frames, the longest of {len(clips)} clips has {lengths.max()}; lower "
            "sampling.num_frames or sampling.frame_step, or cut longer clips in ingest"
        )
    usable = clips.filter(pa.array(long_enough))
    usable, heldout = split_clips(usable, num_heldout=num_heldout)
    if not len(usable):
        raise TrainingDataError(
            f"to hold out {num_heldout} clips with all clips of their videos leaves none to train on; lower "
            "heldout.num_clips, or prepare more videos"
        )
    change = sampling.explicit_indicator
    return Corpus(
        url=url,
        clips=usable,
        num_too_short=int((~long_enough).sum()),
        anchors=None if change is None else pose_pool(ledger, usable, size=change.pool_size),
        heldout=Corpus(url=url, clips=heldout, num_too_short=0) if len(heldout) else None,
    )
