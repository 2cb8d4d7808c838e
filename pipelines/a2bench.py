"""A²Bench (Animate-X, arXiv 2410.10306, §4): characters of many kinds, each with a video that is to be reproduced.

The layout is that of Animate-X's public code, with files matched by name:

    images/NAME.png  videos/NAME.mp4  saved_pkl/NAME.pkl (`models.pose.pose_file`)

Skeletons are written as a dataset of prepared clips, so that requests drive characters by prepared clips, whose
keypoints are part of the request's key.
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
from pipelines.engine.rows import to_table
from pipelines.engine.schema import CLIP_COLUMNS, PREPARED_COLUMNS, REQUEST_COLUMNS, dataset_schema
from pipelines.engine.sources import VIDEO_SUFFIXES
from pipelines.engine.tables import describe_dataset
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
"""Folders of the benchmark, and the suffixes of their files."""
TRUTH = "truth"
"""Folder of the puppet stand-in for the ground truth of its videos."""
HUMANS = "humans"
"""Folder of the puppet stand-in for the prepared dataset of humans."""

CLIP_SCHEMA = dataset_schema(
    "a2bench",
    pa.schema(list(CLIP_COLUMNS.items())),
    {name: PREPARED_COLUMNS[name] for name in ("work_width_px", "work_height_px", "keypoints")}
    | {"body_shape": pa.string()},
)
"""Columns of `prepared`, and `body_shape`: the id of the clip whose proportions the skeletons have."""

_MAX_PICTURE_PIXELS = 100_000_000


class MalformedItemError(ValueError):
    """An item of the benchmark is invalid. The message names the file and the expected content."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Characters:
    """Content of a benchmark.

    `clips`: rows of `CLIP_SCHEMA`, one per valid item. `references`: item -> URI of its picture. `malformed`: item ->
    error message. `not_rescaled`: valid items with too few joints of a human skeleton to be rescaled.
    """

    clips: Sequence[Row]
    references: Mapping[str, str]
    malformed: Mapping[str, str]
    not_rescaled: Sequence[str]


class BodyShapes:
    """Body shapes of the humans of a prepared dataset.

    Raises:
        ManifestError: there is no such dataset, or it has no clip with status ok.
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
            raise ManifestError(f"{url} has no clip with status ok; its report lists the reasons")

    def lend(self, poses: FilePoses, rng: random.Random) -> tuple[NDArray[np.float32], str | None]:
        """Rescale skeletons to the proportions of a random human; returns them and the human's `clip_id`.

        The id is None if the two skeletons share too few limbs; the skeletons are then unchanged.
        """
        human = self._clips.slice(rng.randrange(len(self._clips)), 1)
        anchor = pose_pool(self._ledger, human, size=1)[0]
        anchor[:, :2] *= poses.height_px
        rescaled = realigned(poses.keypoints, anchor)
        return rescaled, None if np.array_equal(rescaled, poses.keypoints) else human["clip_id"][0].as_py()


def read_characters(benchmark: Storage, *, humans: BodyShapes | None, seed: int) -> Characters:
    """Read and check all items of a benchmark.

    Args:
        benchmark: its folder.
        humans: body shapes for the driving skeletons, chosen at random per item (setting "rescaled"); None: skeletons
            are unchanged ("self-driven").
        seed: seed of the choice. The choice for an item does not depend on the other items.

    Raises:
        ManifestError: there is no file of a benchmark.
    """
    files = _files(benchmark)
    clips: list[Row] = []
    references, malformed, not_rescaled = {}, {}, []
    probe = ProbeStage(ProbeConfig())
    probe.open()
    try:
        for name, paths in files.items():
            try:
                clip, poses = _read_item(benchmark, name, paths, probe)
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
            references[name] = benchmark.url_of(paths["images"][0])
    finally:
        probe.close()
    return Characters(clips=clips, references=references, malformed=malformed, not_rescaled=not_rescaled)


def write_clips(storage: Storage, clips: Sequence[Row]) -> None:
    """Publish rows of `CLIP_SCHEMA` as a dataset, replacing an earlier one."""
    table = pa.concat_tables([to_table({"status": Status.OK, **clip}, CLIP_SCHEMA) for clip in clips])
    with storage.staged("rows-000000.parquet") as path:
        pq.write_table(table, path, compression="zstd", row_group_size=ROWS_PER_GROUP)
    describe_dataset(storage)


def requests_for(characters: Characters, clips_uri: str) -> pa.Table:
    """Requests, one per valid item: its picture, driven by its clip at `clips_uri`, without retargeting."""
    rows = [
        {
            "request_id": clip["clip_id"],
            "reference_uri": characters.references[clip["clip_id"]],
            "clip_id": clip["clip_id"],
            "clips_uri": clips_uri,
            # The benchmark measures robustness to skeletons that do not fit the character, so they are not retargeted.
            "retarget": "frame",
        }
        for clip in characters.clips
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(list(REQUEST_COLUMNS.items())))


def _files(benchmark: Storage) -> dict[str, dict[str, list[str]]]:
    """Item -> folder -> files of the item in the folder."""
    files: dict[str, dict[str, list[str]]] = {}
    for folder, name in _media(benchmark):
        files.setdefault(PurePosixPath(name).stem, {}).setdefault(folder, []).append(name)
    if not files:
        raise ManifestError(f"{benchmark.url} holds no benchmark; expected the folders {', '.join(FOLDERS)} in it")
    return dict(sorted(files.items()))


def _media(benchmark: Storage) -> Iterator[tuple[str, str]]:
    for folder, suffixes in FOLDERS.items():
        for name in benchmark.names(folder):
            if PurePosixPath(name).suffix.lower() in suffixes:
                yield folder, name


def _read_item(
    benchmark: Storage, name: str, files: Mapping[str, Sequence[str]], probe: ProbeStage
) -> tuple[dict[str, Any], FilePoses]:
    """Columns of the item's clip without keypoints, and its skeletons."""
    first = benchmark.url_of(next(iter(files.values()))[0])
    if not re.fullmatch(ID_PATTERN, name):
        raise MalformedItemError(f"{first}: a name is 1 to 128 letters, digits, '.', '_' or '-'; rename its files")
    for folder, suffixes in FOLDERS.items():
        if folder not in files:
            expected = f"{name} with one of the suffixes {' '.join(sorted(suffixes))}"
            raise MalformedItemError(f"{first} has no counterpart in {benchmark.url_of(folder)}; expected {expected}")
        if len(files[folder]) > 1:
            names = ", ".join(benchmark.url_of(file) for file in files[folder])
            raise MalformedItemError(f"{names} have the same name; expected one file per name in {folder}")
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
            f"{pose_uri} is for frames of {poses.width_px} x {poses.height_px} pixels, expected the size of {uri}, "
            f"{facts['width_px']} x {facts['height_px']}"
        )
    clip = {column: facts[column] for column in CLIP_COLUMNS if column in facts}
    size = {"work_width_px": poses.width_px, "work_height_px": poses.height_px}
    return {**clip, **size, "clip_id": name, "video_id": name, "uri": uri, "frame_step": 1}, poses
