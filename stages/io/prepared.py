"""Signals of a prepared clip, read from the dataset that `prepare` wrote."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.pose.skeleton import scale_keypoints
from stages.base import Row
from stages.io.storage import open_file_system, store_errors
from stages.outcome import BadRow, Reason


def read_prepared_keypoints(clip_id: str, clip: Row, frames_shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) of a prepared clip, in pixels of frames of another size.

    Args:
        clip_id: in the file.
        clip: `keypoints_file`, the URL of the Parquet file that holds the row, `work_width_px` and `work_height_px`.
        frames_shape: (T, H, W, 3) of the decoded frames.

    Raises:
        BadRow: NotFound, the file is gone; SourceChanged, the file no longer holds this clip with T frames.
    """
    url = clip["keypoints_file"]
    try:
        fs, path = open_file_system(url)
        with store_errors(url), fs.open(path, "rb") as file:
            table = pq.read_table(file, columns=["keypoints"], filters=[("clip_id", "==", clip_id)])
    except FileNotFoundError as error:
        raise BadRow(Reason.NOT_FOUND, f"{url}, which held the clip {clip_id}, is gone") from error
    if table.num_rows != 1:
        raise BadRow(Reason.SOURCE_CHANGED, f"{url} no longer holds the clip {clip_id}; run the same command again")
    keypoints = np.array(table.column("keypoints")[0].as_py(), dtype=np.float32)
    frames, height, width, _ = frames_shape
    if keypoints.ndim != 3 or len(keypoints) != frames:
        raise BadRow(Reason.SOURCE_CHANGED, f"{url}: keypoints {keypoints.shape} of {clip_id}, but {frames} frames")
    return scale_keypoints(keypoints, (clip["work_height_px"], clip["work_width_px"]), (height, width))
