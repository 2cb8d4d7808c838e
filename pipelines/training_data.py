"""Training samples out of the dataset `prepared`, in an order that depends on the seed alone.

A run's samples are numbered 0, 1, 2, …; every step takes the next `batch_size` of them, and each worker its share. What
sample n is follows from the seed, n and the dataset (`models.training.clips`), so that it does not matter who makes it,
when, or how often. `pipelines.training_batches` has the numbers made into samples, by Ray Data or by a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.pose.condition import PRESETS
from models.training.batch import SampleBatch
from models.training.clips import CUT, ClipOrder, Cut, covering_short_side, cut_frames, cut_poses, draw_cut, stream
from models.training.recipe import SamplingConfig
from models.video.clip import working_size
from pipelines.keys import digest
from pipelines.ledger import Ledger
from pipelines.storage import Storage
from stages.base import Row
from stages.decode import DecodeConfig, DecodeStage
from stages.outcome import BadRow, Reason, Status

CLIP_COLUMNS = (
    *("clip_id", "work_key", "uri", "size_bytes", "fingerprint", "start_seconds", "num_frames", "frame_step", "fps"),
    *("width_px", "height_px", "work_width_px", "work_height_px"),
)


class TrainingDataError(ValueError):
    """The dataset cannot be trained on as it is; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingDataConfig:
    """How samples are made.

    Args:
        decode: what may be opened, and the bounds of the decoder. Its size is set by the recipe.
        keep_gib: memory of each worker for decoded frames. Where the whole corpus fits, clips are decoded once and
            kept; where it does not, each sample decodes the frames that it needs and no others.
        prefetch_batches: made ahead of the step that learns from them.
        workers: that make samples for one training worker. `cpus`: of each.
        samples_per_round: Ray Data is given so many samples at a time, which bounds what it keeps track of.
    """

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    keep_gib: float = 1.0
    prefetch_batches: int = 2
    workers: int = 1
    cpus: float = 1.0
    samples_per_round: int = 50_000

    def __post_init__(self) -> None:
        if min(self.workers, self.prefetch_batches, self.samples_per_round) < 1 or self.cpus <= 0 or self.keep_gib < 0:
            raise ValueError(
                "expected workers, prefetch_batches and samples_per_round >= 1, cpus > 0 and keep_gib >= 0, got "
                f"{self.workers}, {self.prefetch_batches}, {self.samples_per_round}, {self.cpus} and {self.keep_gib}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """The clips of a prepared dataset that can be trained on, as they were when the run was started.

    Args:
        url: of the dataset.
        clips: of `CLIP_COLUMNS` and `file`, sorted by `clip_id`.
        num_too_short: prepared clips left out because they have not enough frames.
    """

    url: str
    clips: pa.Table
    num_too_short: int

    @property
    def digest(self) -> str:
        """Fingerprint of the snapshot: of every clip's id and of all that its row was made from."""
        return digest([self.clips["clip_id"].to_pylist(), self.clips["work_key"].to_pylist()])


def open_corpus(url: str, sampling: SamplingConfig, *, limit: int | None = None) -> Corpus:
    """The clips of the dataset at `url` whose status is ok and that are long enough for a sample.

    `limit`: only the first by id.

    Raises:
        TrainingDataError: no dataset there, a column missing, no such clip.
    """
    ledger = Ledger(Storage(url), "clip_id")
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        if not relation:
            raise TrainingDataError(f"{url} holds no prepared clips; give the folder that `zoetrope prepare` wrote to")
        present = {name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}  # noqa: S608
        if missing := [name for name in (*CLIP_COLUMNS, "keypoints", "status") if name not in present]:
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
        raise TrainingDataError(f"{url} has no clip whose status is ok; its report says what became of them")
    lengths = clips["num_frames"].to_numpy()
    long_enough = lengths >= sampling.span
    if not long_enough.any():
        raise TrainingDataError(
            f"a sample spans {sampling.span} frames, the longest of {len(clips)} clips has {lengths.max()}; lower "
            "sampling.num_frames or sampling.frame_step, or cut longer clips in ingest"
        )
    return Corpus(url=url, clips=clips.filter(pa.array(long_enough)), num_too_short=int(len(clips) - long_enough.sum()))


class UnusableClipError(RuntimeError):
    """A clip that was prepared cannot be read any more."""


class SampleMaker:
    """Makes samples by their numbers. Holds a decoder process, and the clips that it keeps; for one thread at a time.

    Args:
        preset: name of the drawing that the model knows.
        seed: of the run.
    """

    def __init__(
        self, corpus: Corpus, sampling: SamplingConfig, config: TrainingDataConfig, *, preset: str, seed: int
    ) -> None:
        self.sampling, self.seed = sampling, seed
        self._clips = corpus.clips
        self._preset = PRESETS[preset]
        self._order = ClipOrder(len(corpus.clips), seed)
        self._ledger = Ledger(Storage(corpus.url), "clip_id")
        self._decode = DecodeStage(config.decode)
        self._decode.open()
        self._keep = _clips_bytes(corpus, sampling) <= config.keep_gib * 2**30
        self._kept: dict[int, tuple[NDArray[np.uint8], NDArray[np.float32]]] = {}

    def batch(self, numbers: Sequence[int]) -> SampleBatch:
        """The samples of these numbers.

        Raises:
            UnusableClipError: naming the clip.
        """
        return SampleBatch.of([self._sample(number) for number in numbers])

    def beginning(self, clip: int, *, num_frames: int) -> SampleBatch:
        """The first frames of a clip, or all if it is shorter, with the very first as reference.

        Raises:
            UnusableClipError: naming the clip.
        """
        row = self._row(clip)
        frames = range(min(num_frames, row["num_frames"]))
        cut = Cut(targets=tuple(frames), reference=0, crop_share=1.0, crop_place=(0.5, 0.5), mirrored=False)
        return self._made(-1, clip, row, cut)

    def close(self) -> None:
        """End the decoder process."""
        self._decode.close()

    def _row(self, clip: int) -> Row:
        row: Row = self._clips.slice(clip, 1).to_pylist()[0]
        return row

    def _sample(self, number: int) -> SampleBatch:
        clip = self._order[number]
        row = self._row(clip)
        return self._made(number, clip, row, draw_cut(row["num_frames"], self.sampling, stream(self.seed, CUT, number)))

    def _made(self, number: int, clip: int, row: Row, cut: Cut) -> SampleBatch:
        try:
            frames, keypoints = self._wanted(clip, row, cut)
        except BadRow as error:
            raise UnusableClipError(
                f"clip {row['clip_id']} was prepared, but cannot be read any more ({error.reason}: {error.message}); "
                "put its video back or prepare the clips again, and run the same command"
            ) from error
        pictures = cut_frames(frames, cut, self.sampling)
        poses = cut_poses(
            keypoints,
            cut,
            self.sampling,
            work_size_px=(row["work_height_px"], row["work_width_px"]),
            frame_size_px=(frames.shape[1], frames.shape[2]),
            preset=self._preset,
        )
        return SampleBatch(
            samples_B=np.array([number]),
            clips_B=np.array([clip]),
            targets_BFHWC=pictures[None, 1:],
            poses_BFHWC=poses[None, 1:],
            references_BHWC=pictures[:1],
            reference_poses_BHWC=poses[:1],
            target_frames_BF=np.array([cut.targets]),
            reference_frames_B=np.array([cut.reference]),
            mirrored_B=np.array([cut.mirrored]),
        )

    def _wanted(self, clip: int, row: Row, cut: Cut) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Frames and keypoints of the reference and the targets."""
        wanted = [cut.reference, *cut.targets]
        if self._keep:
            if clip not in self._kept:
                self._kept[clip] = (self._frames(row, 0, row["num_frames"], 1), self._keypoints(row))
            frames, keypoints = self._kept[clip]
            return frames[wanted], keypoints[wanted]
        step = cut.targets[1] - cut.targets[0] if len(cut.targets) > 1 else 1
        parts = [self._frames(row, cut.reference, 1, 1), self._frames(row, cut.targets[0], len(cut.targets), step)]
        return np.concatenate(parts), self._keypoints(row)[wanted]

    def _frames(self, row: Row, first: int, num_frames: int, step: int) -> NDArray[np.uint8]:
        size_px = (row["height_px"], row["width_px"])
        config = replace(
            self._decode.config, short_side_px=covering_short_side(size_px, self.sampling), multiple=_DECODED_MULTIPLE
        )
        stage = DecodeStage(config)
        # One decoder process and one fetched copy serve all sizes.
        stage.sources, stage.decoder = self._decode.sources, self._decode.decoder
        window = {
            "start_seconds": row["start_seconds"] + first * row["frame_step"] / row["fps"],
            "num_frames": num_frames,
            "frame_step": row["frame_step"] * step,
        }
        frames: NDArray[np.uint8] = stage.process({**row, **window})["frames"]
        return frames

    def _keypoints(self, row: Row) -> NDArray[np.float32]:
        found = self._ledger.read_row(row["file"], row["clip_id"], columns=["work_key", "keypoints"])
        if found is None or found["work_key"] != row["work_key"]:
            raise BadRow(Reason.SOURCE_CHANGED, "its row was written anew after training began")
        keypoints = np.asarray(found["keypoints"], np.float32)
        if len(keypoints) != row["num_frames"]:
            raise BadRow(Reason.INVALID_ROW, f"{row['num_frames']} frames, but {len(keypoints)} skeletons")
        return keypoints


_DECODED_MULTIPLE = 2
"""Decoded pictures are cut to size afterwards: coarser sides would bend their aspect."""


def _clips_bytes(corpus: Corpus, sampling: SamplingConfig) -> float:
    """What all clips take when they are decoded."""
    heights, widths, counts = (corpus.clips[name].to_numpy() for name in ("height_px", "width_px", "num_frames"))
    sizes, which = np.unique(np.stack([heights, widths]), axis=1, return_inverse=True)
    areas = []
    for height, width in sizes.T.tolist():
        short = covering_short_side((height, width), sampling)
        work_width, work_height = working_size(width, height, short_side_px=short, multiple=_DECODED_MULTIPLE)
        areas.append(work_width * work_height)
    return float((np.array(areas)[which] * counts).sum() * 3)
