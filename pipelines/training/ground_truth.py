"""Ground-truth keypoints of prepared puppet clips, in place of predicted ones."""

from __future__ import annotations

import zipfile
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import scale_keypoints
from models.puppets.truth import truth_as_detections
from models.puppets.truth_file import read_keypoints
from stages.base import Row
from stages.io.storage import Storage
from stages.outcome import BadRow, Reason

MAX_SECONDS_APART = 1e-3
"""Maximum time between a frame and its ground truth, since containers round timestamps."""


def true_keypoints(truth: Storage, row: Row) -> NDArray[np.float32]:
    """Ground-truth keypoints (T, 133, 3) in pixels of the working size; score 1 for keypoints that the character has.

    `truth`: folder of ground-truth files, named after the videos. `row`: a prepared clip, with `uri`, `frame_seconds`
    and its working size.

    Raises:
        BadRow: NotFound, if the video has no file; InvalidRow, if the file is damaged or of another video.
    """
    name = f"{PurePosixPath(row['uri']).stem}.npz"
    try:
        with truth.fetched(name) as path:
            truth_of_video = read_keypoints(path)
    except FileNotFoundError:
        raise BadRow(Reason.NOT_FOUND, f"{truth.url_of(name)} does not exist") from None
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadRow(
            Reason.INVALID_ROW, f"{truth.url_of(name)} is no ground truth of a puppet video: {error}"
        ) from error
    seconds = np.asarray(row["frame_seconds"], np.float64)
    nearest = np.abs(truth_of_video.frame_seconds[None] - seconds[:, None]).argmin(axis=1)
    gap_seconds = np.abs(truth_of_video.frame_seconds[nearest] - seconds).max()
    if gap_seconds > MAX_SECONDS_APART:
        raise BadRow(
            Reason.INVALID_ROW,
            f"a frame of the clip is {gap_seconds:.3f} s from the nearest in {truth.url_of(name)}, expected at most "
            f"{MAX_SECONDS_APART} s; give the ground truth of this video",
        )
    keypoints = np.stack([truth_as_detections(frame) for frame in truth_of_video.keypoints[nearest]])
    return scale_keypoints(keypoints, truth_of_video.size_px, (row["work_height_px"], row["work_width_px"]))
