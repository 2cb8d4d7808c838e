"""Ground truth of prepared puppet clips, in place of predicted signals."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import scale_keypoints
from models.puppets.truth import truth_as_detections
from models.puppets.truth_file import PuppetTruth, TrueKeypoints, read_keypoints, read_truth
from pipelines.training.clip_scene import CodedScene
from stages.base import Row
from stages.io.storage import Storage
from stages.outcome import BadRow, Reason

MAX_SECONDS_APART = 1e-3
"""Maximum time between a frame and its ground truth, since containers round timestamps."""

Truth = TypeVar("Truth", PuppetTruth, TrueKeypoints)


def true_keypoints(truth: Storage, row: Row) -> NDArray[np.float32]:
    """Ground-truth keypoints (T, 133, 3) in pixels of the working size; score 1 for keypoints that the character has.

    `truth`: folder of ground-truth files, named after the videos. `row`: a prepared clip, with `uri`, `frame_seconds`
    and its working size.

    Raises:
        BadRow: NotFound, if the video has no file; InvalidRow, if the file is damaged or of another video.
    """
    of_video, frames = _read(truth, row, read_keypoints)
    return _in_working_pixels(_detections(of_video.keypoints[frames]), of_video.size_px, row)


def true_keypoints_and_scene(truth: Storage, row: Row) -> tuple[NDArray[np.float32], CodedScene]:
    """As `true_keypoints`, with the true masks and depth, of the video's size.

    The scene's objects are those that `row["objects"]` names in its prompts; all objects, if it names none.

    Raises:
        BadRow: as for `true_keypoints`; also InvalidRow, if the video has no object of that name.
    """
    of_video, frames = _read(truth, row, read_truth)
    named = {prompt["object_id"] for prompt in row["objects"] or ()} or set(of_video.object_masks)
    if unknown := named - set(of_video.object_masks):
        raise BadRow(
            Reason.INVALID_ROW,
            f"the ground truth of {row['uri']} has no object {sorted(unknown)}, it has {sorted(of_video.object_masks)}",
        )
    keypoints = _detections(of_video.keypoints[frames])
    character = of_video.character_mask[frames]
    objects = [of_video.object_masks[name][frames] for name in sorted(named)]
    scene = CodedScene.of_masks(character, objects, of_video.depth[frames], keypoints)
    return _in_working_pixels(keypoints, character.shape[1:], row), scene


def _read(truth: Storage, row: Row, read: Callable[[Path], Truth]) -> tuple[Truth, NDArray[np.int64]]:
    """Ground truth of the clip's video, and the index of each frame of the clip in it."""
    name = f"{PurePosixPath(row['uri']).stem}.npz"
    try:
        with truth.fetched(name) as path:
            of_video = read(path)
    except FileNotFoundError:
        raise BadRow(Reason.NOT_FOUND, f"{truth.url_of(name)} does not exist") from None
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadRow(
            Reason.INVALID_ROW, f"{truth.url_of(name)} is no ground truth of a puppet video: {error}"
        ) from error
    seconds = np.asarray(row["frame_seconds"], np.float64)
    nearest = np.abs(of_video.frame_seconds[None] - seconds[:, None]).argmin(axis=1)
    gap_seconds = np.abs(of_video.frame_seconds[nearest] - seconds).max()
    if gap_seconds > MAX_SECONDS_APART:
        raise BadRow(
            Reason.INVALID_ROW,
            f"a frame of the clip is {gap_seconds:.3f} s from the nearest in {truth.url_of(name)}, expected at most "
            f"{MAX_SECONDS_APART} s; give the ground truth of this video",
        )
    return of_video, nearest


def _detections(keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([truth_as_detections(frame) for frame in keypoints])


def _in_working_pixels(keypoints: NDArray[np.float32], size_px: tuple[int, ...], row: Row) -> NDArray[np.float32]:
    height_px, width_px = size_px
    return scale_keypoints(keypoints, (height_px, width_px), (row["work_height_px"], row["work_width_px"]))
