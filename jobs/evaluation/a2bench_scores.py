"""`zoetrope a2bench scores`: animations of a benchmark's characters against their own videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.evaluation.heldout import AnimationAndTruth, animation_scores
from models.perception.embedded import EmbeddedFigure
from models.puppets.truth_file import read_keypoints
from pipelines.a2bench import TRUTH
from pipelines.engine.ledger import Ledger
from pipelines.engine.sources import folder_of
from stages.animate.driving import part_of_video
from stages.animate.reference import ReferenceConfig
from stages.base import Row
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.io.picture import read_picture
from stages.io.storage import Storage
from stages.outcome import BadRow, Status

_ORIGINAL_SIZE = DecodeConfig(short_side_px=1 << 14, multiple=1)
"""Videos at their own size."""


def scores(results: str, *, console: Console) -> JobResult:
    """`animation_scores` of the animations in a dataset of results, each by the video that drove it, which in both
    settings shows the character itself.

    An animation of another size than the video is brought to the video's, as in the public evaluations. Keypoints are
    counted where they are known exactly, which only the puppet stand-in does.

    Args:
        results: the dataset that `zoetrope animate` wrote of the requests of `zoetrope a2bench requests`.
        console: what it says.

    Raises:
        ValueError: no animation there, one of a request that names no clip, or a file that is gone or another by now.
    """
    ledger = Ledger(Storage(results), "request_id")
    rows = list(ledger.rows(["request_id", "status", "clip", "clip_id", "reference_uri", "video_uri"]))
    done = [row for row in rows if row["status"] == Status.OK]
    if not done:
        raise ValueError(f"{results} holds no animation; expected the dataset that `zoetrope animate` wrote")
    if other := [row["request_id"] for row in done if row["clip"] is None]:
        raise ValueError(f"{results}: {other[0]} is no request of `zoetrope a2bench requests`, which name clips")
    try:
        found = animation_scores(_animations(done, ledger.storage), EmbeddedFigure())
    except BadRow as error:
        raise ValueError(f"{results} cannot be compared any more: {error.message}") from error
    if len(done) < len(rows):
        console.notice(f"{len(rows) - len(done)} of {len(rows)} requests have no animation and are not counted")
    for name, value in found.items():
        console.line(f"{name}: {value:.3f}")
    return JobResult(
        exit_code=0 if len(done) == len(rows) else 1,
        summary={"verb": "a2bench scores", "requests": len(rows), **found},
    )


def _animations(rows: Sequence[Row], storage: Storage) -> Iterator[AnimationAndTruth]:
    reader = ClipReader(_ORIGINAL_SIZE)
    try:
        for row in rows:
            truth = reader.frames(row["clip"]).frames
            animation = reader.frames(part_of_video(reader, storage.url_of(row["video_uri"]))).frames
            size = (truth.shape[2], truth.shape[1])
            yield AnimationAndTruth(
                reference_HWC=_resized(_picture(reader, row["reference_uri"]), size),
                animation_THWC=np.stack([_resized(frame, size) for frame in animation]),
                truth_THWC=truth,
                truth_keypoints=_true_keypoints(row["clip"]["uri"], row["clip_id"]),
            )
    finally:
        reader.close()


def _picture(reader: ClipReader, uri: str) -> NDArray[np.uint8]:
    path, config = reader.sources.open(uri).path, ReferenceConfig()
    picture = read_picture(path, shown=uri, max_pixels=config.max_pixels, background_rgb=config.background_rgb)
    return np.asarray(picture, dtype=np.uint8)


def _resized(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """`size`: width, height."""
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _true_keypoints(video_uri: str, name: str) -> NDArray[np.float32] | None:
    """(T, 133, 3) from the stand-in's ground truth; None for a benchmark without one."""
    benchmark = Storage(folder_of(folder_of(video_uri)))
    try:
        with benchmark.fetched(f"{TRUTH}/{name}.npz") as path:
            return read_keypoints(path).keypoints
    except FileNotFoundError:
        return None
