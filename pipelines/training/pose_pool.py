"""Pool of anchor skeletons for pose augmentation (Animate-X, arXiv 2410.10306, §3.2)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from pipelines.engine.ledger import Ledger


def pose_pool(ledger: Ledger, clips: pa.Table, *, size: int) -> NDArray[np.float32]:
    """Anchors (N, 133, 3) from up to `size` evenly spaced clips, each from the frame with the most visible keypoints.

    x and y are shares of the frame's height, so that anchors apply to videos of any size.

    `clips`: `clip_id`, `file` and `work_height_px` of rows of the ledger.
    """
    numbers = np.unique(np.linspace(0, len(clips) - 1, min(size, len(clips))).round().astype(int))
    anchors = []
    for row in clips.select(["clip_id", "file", "work_height_px"]).take(numbers).to_pylist():
        stored = ledger.read_row(row["file"], row["clip_id"], columns=["keypoints"])
        if stored is None:  # rewritten since; reading it as a sample raises
            continue
        keypoints = np.asarray(stored["keypoints"], np.float32)
        anchor = keypoints[(keypoints[..., 2] >= CONFIDENT_SCORE).sum(axis=1).argmax()].copy()
        anchor[:, :2] /= row["work_height_px"]
        anchors.append(anchor)
    return np.stack(anchors)
