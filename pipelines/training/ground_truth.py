"""Ground-truth keypoints of puppets in prepared clips, in place of predicted ones."""

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
"""Tolerance between a frame and its truth; containers round times."""


def true_keypoints(truth: Storage, row: Row) -> NDArray[np.float32]:
    """(T, 133, 3) in pixels of the working size, scored 1 where the character has them.

    `truth`: the folder of the files, which are named as the videos are. `row`: a clip that was prepared, with `uri`,
    `frame_seconds` and its working size.

    Raises:
        BadRow: NotFound, there is no truth of the clip's video; InvalidRow, it is of another video or damaged.
    """
    name = f"{PurePosixPath(row['uri']).stem}.npz"
    try:
        with truth.fetched(name) as path:
            truth_of_video = read_keypoints(path)
    except FileNotFoundError:
        raise BadRow(Reason.NOT_FOUND, f"{truth.url_of(name)} does not exist") from None
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BadRow(Reason.INVALID_ROW, f"{truth.url_of(name)} is no truth of a puppet video: {error}") from error
    wanted = np.asarray(row["frame_seconds"], np.float64)
    nearest = np.abs(truth_of_video.frame_seconds[None] - wanted[:, None]).argmin(axis=1)
    apart = np.abs(truth_of_video.frame_seconds[nearest] - wanted).max()
    if apart > MAX_SECONDS_APART:
        raise BadRow(Reason.INVALID_ROW, f"{truth.url_of(name)} has no frame within {apart:.3f} s of one of the clip")
    keypoints = np.stack([truth_as_detections(frame) for frame in truth_of_video.keypoints[nearest]])
    return scale_keypoints(keypoints, truth_of_video.size_px, (row["work_height_px"], row["work_width_px"]))
