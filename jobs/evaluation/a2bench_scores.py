"""`zoetrope a2bench scores`: scores of animations against the benchmark's videos of the same characters."""

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
"""Decodes videos at their original size."""


def scores(results: str, *, console: Console) -> JobResult:
    """Compute `animation_scores` of a dataset of results against the driving videos, which show the same characters.

    Animations are resized to the size of the video, as in the public evaluations. Keypoints are scored only if ground
    truth exists, as for the puppet stand-in.

    Args:
        results: the dataset that `zoetrope animate` wrote for the requests of `zoetrope a2bench requests`.
        console: output.

    Raises:
        ValueError: there is no animation, a request names no clip, or a file is missing or has changed.
    """
    ledger = Ledger(Storage(results), "request_id")
    rows = list(ledger.rows(["request_id", "status", "clip", "clip_id", "reference_uri", "video_uri"]))
    done = [row for row in rows if row["status"] == Status.OK]
    if not done:
        raise ValueError(f"{results} holds no animation; expected the dataset that `zoetrope animate` wrote")
    if other := [row["request_id"] for row in done if row["clip"] is None]:
        raise ValueError(f"{results}: {other[0]} is no request of `zoetrope a2bench requests`, which name clips")
    try:
        values = animation_scores(_animations(done, ledger.storage), EmbeddedFigure())
    except BadRow as error:
        raise ValueError(f"{results} cannot be compared any more: {error.message}") from error
    if len(done) < len(rows):
        console.notice(f"{len(rows) - len(done)} of {len(rows)} requests have no animation and are not counted")
    for name, value in values.items():
        console.line(f"{name}: {value:.3f}")
    return JobResult(
        exit_code=0 if len(done) == len(rows) else 1,
        summary={"verb": "a2bench scores", "requests": len(rows), **values},
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
    """Ground-truth keypoints (T, 133, 3) of a stand-in; None for a benchmark without ground truth."""
    benchmark = Storage(folder_of(folder_of(video_uri)))
    try:
        with benchmark.fetched(f"{TRUTH}/{name}.npz") as path:
            return read_keypoints(path).keypoints
    except FileNotFoundError:
        return None
