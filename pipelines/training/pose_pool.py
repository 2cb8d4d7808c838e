"""The pool of anchors whose proportions skeletons take in training (Animate-X, arXiv 2410.10306, §3.2)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from pipelines.engine.ledger import Ledger


def pose_pool(ledger: Ledger, clips: pa.Table, *, size: int) -> NDArray[np.float32]:
    """One skeleton each of up to `size` clips, evenly spread over them: that of the frame which shows most of it.

    `clips`: `clip_id`, `file` and `work_height_px` of rows of the ledger. Returns (N, 133, 3), x and y as shares of the
    frame's height: an anchor goes with videos of every size.
    """
    numbers = np.unique(np.linspace(0, len(clips) - 1, min(size, len(clips))).round().astype(int))
    anchors = []
    for row in clips.select(["clip_id", "file", "work_height_px"]).take(numbers).to_pylist():
        found = ledger.read_row(row["file"], row["clip_id"], columns=["keypoints"])
        if found is None:  # moved since; reading it as a sample says so
            continue
        keypoints = np.asarray(found["keypoints"], np.float32)
        anchor = keypoints[(keypoints[..., 2] >= CONFIDENT_SCORE).sum(axis=1).argmax()].copy()
        anchor[:, :2] /= row["work_height_px"]
        anchors.append(anchor)
    return np.stack(anchors)
