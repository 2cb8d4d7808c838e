"""A²Bench (Animate-X, arXiv 2410.10306, §4): characters of all kinds, each with a video of itself to be made again.

What is read is laid out as Animate-X's public code lays out its data, joined by name:

    images/NAME.png  videos/NAME.mp4  saved_pkl/NAME.pkl (`models.pose.pose_file`)

The skeletons become a dataset of clips as `prepare` writes it, so that a request for a character is one for a prepared
clip, whose keypoints are part of its key.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.pose.pose_augment import realigned
from models.pose.pose_file import FilePoses, PoseFileError, read_pose_file
from pipelines.engine.ledger import ROWS_PER_GROUP, Ledger
from pipelines.engine.manifest import ID_PATTERN, ManifestError
from pipelines.engine.schema import CLIP_COLUMNS, PREPARED_COLUMNS, REQUEST_COLUMNS, dataset_schema, to_table
from pipelines.engine.sources import VIDEO_SUFFIXES
from pipelines.training.pose_pool import pose_pool
from stages.base import Row
from stages.ingest.probe import ProbeConfig, ProbeStage
from stages.io.picture import SUFFIXES as PICTURE_SUFFIXES
from stages.io.picture import read_picture
from stages.io.storage import Storage
from stages.outcome import BadRow, Status

SETTINGS = ("self-driven", "rescaled")

FOLDERS: Mapping[str, frozenset[str]] = {
    "images": PICTURE_SUFFIXES,
    "videos": VIDEO_SUFFIXES,
    "saved_pkl": frozenset({".pkl"}),
}
"""Folders of the benchmark, and the suffixes of what counts in them."""
TRUTH = "truth"
"""Folder of the puppet stand-in with the ground truth of its videos."""
HUMANS = "humans"
"""Folder of the puppet stand-in with the people whose body shapes it lends."""

CLIP_SCHEMA = dataset_schema(
    "a2bench",
    pa.schema(list(CLIP_COLUMNS.items())),
    {name: PREPARED_COLUMNS[name] for name in ("work_width_px", "work_height_px", "keypoints")}
    | {"body_shape": pa.string()},
)
"""Of `prepared`, and `body_shape`: the clip that lent the skeletons its proportions."""

_MAX_PICTURE_PIXELS = 100_000_000


class MalformedItemError(ValueError):
    """An item of the benchmark cannot be used; the message names the file and says what was expected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Characters:
    """What a benchmark holds.

    `clips`: of `CLIP_SCHEMA`, one per sound item. `references`: item -> URI of its picture. `malformed`: item -> what
    is wrong with it. `not_rescaled`: sound items that have too little of a human skeleton to get a human's proportions.
    """

    clips: Sequence[Row]
    references: Mapping[str, str]
    malformed: Mapping[str, str]
    not_rescaled: Sequence[str]


class BodyShapes:
    """The people of a prepared dataset, whose proportions are lent.

    Raises:
        ManifestError: no such dataset, or no clip in it that is ok.
    """

    def __init__(self, url: str) -> None:
        self._ledger = Ledger(Storage(url), "clip_id")
        with duckdb.connect() as connection:
            relation = self._ledger.relation(connection)
            if not relation:
                raise ManifestError(f"{url} holds no prepared clips; give the folder that `zoetrope prepare` wrote to")
            self._clips = connection.sql(
                f"SELECT clip_id, parse_filename(filename) AS file, work_height_px FROM {relation} "  # noqa: S608
                f"WHERE status = '{Status.OK}' ORDER BY clip_id"
            ).to_arrow_table()
        if not len(self._clips):
            raise ManifestError(f"{url} has no clip whose status is ok; its report says what became of them")

    def lend(self, poses: FilePoses, rng: random.Random) -> tuple[NDArray[np.float32], str | None]:
        """The skeletons with the proportions of a random person, and whose they are; None where the two have too little
        in common.
        """
        person = self._clips.slice(rng.randrange(len(self._clips)), 1)
        anchor = pose_pool(self._ledger, person, size=1)[0]
        anchor[:, :2] *= poses.height_px
        lent = realigned(poses.keypoints, anchor)
        return lent, None if np.array_equal(lent, poses.keypoints) else person["clip_id"][0].as_py()


def read_characters(benchmark: Storage, *, humans: BodyShapes | None, seed: int) -> Characters:
    """Everything that the benchmark holds, each file looked into.

    Args:
        benchmark: its folder.
        humans: the driving skeletons get the body shape of a random one of these (the setting "rescaled"); None leaves
            them as they are ("self-driven").
        seed: of who lends to whom; the same for an item whatever the others are.

    Raises:
        ManifestError: none of its folders is there.
    """
    files = _files(benchmark)
    clips: list[Row] = []
    references, malformed, not_rescaled = {}, {}, []
    probe = ProbeStage(ProbeConfig())
    probe.open()
    try:
        for name, found in files.items():
            try:
                clip, poses = _read_item(benchmark, name, found, probe)
            except MalformedItemError as error:
                malformed[name] = str(error)
                continue
            keypoints, body_shape = poses.keypoints, None
            if humans is not None:
                keypoints, body_shape = humans.lend(poses, random.Random(f"a2bench-{seed}-{name}"))
                if body_shape is None:
                    not_rescaled.append(name)
            digest = hashlib.sha256(keypoints.tobytes()).hexdigest()
            clips.append({**clip, "keypoints": keypoints, "body_shape": body_shape, "stage_keys": {"pose": digest}})
            references[name] = benchmark.url_of(found["images"][0])
    finally:
        probe.close()
    return Characters(clips=clips, references=references, malformed=malformed, not_rescaled=not_rescaled)


def write_clips(storage: Storage, clips: Sequence[Row]) -> None:
    """Publish rows of `CLIP_SCHEMA` as a dataset, in place of what was there."""
    table = pa.concat_tables([to_table({"status": Status.OK, **clip}, CLIP_SCHEMA) for clip in clips])
    with storage.staged("rows-000000.parquet") as path:
        pq.write_table(table, path, compression="zstd", row_group_size=ROWS_PER_GROUP)


def requests_for(characters: Characters, clips_uri: str) -> pa.Table:
    """A request for each sound item: its picture, driven by its clip at `clips_uri`, whose skeletons are left alone."""
    rows = [
        {
            "request_id": clip["clip_id"],
            "reference_uri": characters.references[clip["clip_id"]],
            "clip_id": clip["clip_id"],
            "clips_uri": clips_uri,
            # What is to be measured is how a system does with skeletons that do not fit: they must not be made to.
            "retarget": "frame",
        }
        for clip in characters.clips
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(list(REQUEST_COLUMNS.items())))


def _files(benchmark: Storage) -> dict[str, dict[str, list[str]]]:
    """Item -> folder -> its files there."""
    found: dict[str, dict[str, list[str]]] = {}
    for folder, name in _media(benchmark):
        found.setdefault(PurePosixPath(name).stem, {}).setdefault(folder, []).append(name)
    if not found:
        raise ManifestError(f"{benchmark.url} holds no benchmark; expected the folders {', '.join(FOLDERS)} in it")
    return dict(sorted(found.items()))


def _media(benchmark: Storage) -> Iterator[tuple[str, str]]:
    for folder, suffixes in FOLDERS.items():
        for name in benchmark.names(folder):
            if PurePosixPath(name).suffix.lower() in suffixes:
                yield folder, name


def _read_item(
    benchmark: Storage, name: str, files: Mapping[str, Sequence[str]], probe: ProbeStage
) -> tuple[dict[str, Any], FilePoses]:
    """The columns of its clip but the keypoints, and its skeletons."""
    there = benchmark.url_of(next(iter(files.values()))[0])
    if not re.fullmatch(ID_PATTERN, name):
        raise MalformedItemError(f"{there}: a name is 1 to 128 letters, digits, '.', '_' or '-'; rename its files")
    for folder, suffixes in FOLDERS.items():
        if folder not in files:
            expected = f"{name} with one of the suffixes {' '.join(sorted(suffixes))}"
            raise MalformedItemError(f"{there} has no counterpart in {benchmark.url_of(folder)}; expected {expected}")
        if len(files[folder]) > 1:
            both = ", ".join(benchmark.url_of(file) for file in files[folder])
            raise MalformedItemError(f"{both} have one name; expected one file of it in {folder}")
    (picture,), (video,), (pose,) = (files[folder] for folder in FOLDERS)
    uri, pose_uri = benchmark.url_of(video), benchmark.url_of(pose)
    try:
        with benchmark.fetched(picture) as path:
            shown = benchmark.url_of(picture)
            read_picture(str(path), shown=shown, max_pixels=_MAX_PICTURE_PIXELS, background_rgb=(255, 255, 255))
        facts = probe.process({"uri": uri})
        with benchmark.fetched(pose) as path:
            poses = read_pose_file(path, shown=pose_uri)
    except (BadRow, PoseFileError) as error:
        message = error.message if isinstance(error, BadRow) else str(error)
        raise MalformedItemError(message) from error
    if len(poses.keypoints) != facts["num_frames"]:
        raise MalformedItemError(
            f"{pose_uri} holds {len(poses.keypoints)} skeletons, expected one for each of the {facts['num_frames']} "
            f"frames of {uri}"
        )
    if (poses.width_px, poses.height_px) != (facts["width_px"], facts["height_px"]):
        raise MalformedItemError(
            f"{pose_uri} is of frames of {poses.width_px} x {poses.height_px} pixels, expected those of {uri}, "
            f"{facts['width_px']} x {facts['height_px']}"
        )
    clip = {column: facts[column] for column in CLIP_COLUMNS if column in facts}
    size = {"work_width_px": poses.width_px, "work_height_px": poses.height_px}
    return {**clip, **size, "clip_id": name, "video_id": name, "uri": uri, "frame_step": 1}, poses
