"""Body landmarks and mask of one person with BlazePose (`pose_landmark_full.tflite`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.perception.mediapipe.detector import BODY_SCALE
from models.perception.mediapipe.interpreter import TfliteNetwork
from models.perception.mediapipe.region import UPWARDS, Region

SIDE_PX = 256
NUM_LANDMARKS = 33
CENTRE, EDGE = 33, 34
"""Landmarks after those of the body: the circle around the whole person."""
MIN_PRESENCE = 0.5
"""Least probability that there is a person in the region."""
_NUM_OUTPUTS, _VALUES = 39, 5
_HEATMAP_SIDE = 64
_WINDOW = np.arange(-3, 4)
"""Cells of a heat map around a landmark that refine it."""
_MIN_PEAK = 0.5
_MAX_LOGIT = 80.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """Body of one person in one frame.

    `landmarks`: (33, 4) of BlazePose: x, y in pixels of the frame; z in the same unit, 0 in the middle of the hips,
    negative is nearer; score 0–1. `presence`: probability that there is a person. `region`: that the network read.
    `next_region`: in which to look in the next frame. `mask`: (256, 256) uint8 of the region, 255 times the probability
    of the person.
    """

    landmarks: NDArray[np.float32]
    presence: float
    region: Region
    next_region: Region
    mask: NDArray[np.uint8]

    @property
    def box(self) -> NDArray[np.float32]:
        """(4,) x0, y0, x1, y1 of the landmarks that are more visible than not, or of all if none is."""
        seen = self.landmarks[self.landmarks[:, 3] >= 0.5, :2]
        points = seen if len(seen) else self.landmarks[:, :2]
        return np.concatenate([points.min(axis=0), points.max(axis=0)])


class BodyLandmarks:
    """Landmarks of the person in a region."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            CheckpointError: LiteRT is not installed, or the file is absent, damaged or of another network.
        """
        shapes = [
            (_NUM_OUTPUTS * _VALUES,),
            (1,),
            (SIDE_PX, SIDE_PX, 1),
            (_HEATMAP_SIDE, _HEATMAP_SIDE, _NUM_OUTPUTS),
            (_NUM_OUTPUTS * 3,),
        ]
        self.network = TfliteNetwork(path, side_px=SIDE_PX, output_shapes=shapes)

    def find(self, frame_HWC: NDArray[np.uint8], region: Region) -> Body | None:
        """The person in the region; None if there is none."""
        values, presence, mask, heatmaps, _ = self.network.run(region.cut(frame_HWC, SIDE_PX))
        if not presence[0] >= MIN_PRESENCE:
            return None
        return decode(values, float(presence[0]), mask[..., 0], heatmaps, region)


def decode(
    values: NDArray[np.float32],
    presence: float,
    mask_logits_SS: NDArray[np.float32],
    heatmaps_HWK: NDArray[np.float32],
    region: Region,
) -> Body:
    """Decode the network's outputs for a region.

    `values`: (195,) x, y, z in pixels of the crop, and the logits of visibility and presence, of 39 landmarks.
    """
    landmarks = values.reshape(_NUM_OUTPUTS, _VALUES)
    points = refined(landmarks[:, :2] / SIDE_PX, heatmaps_HWK)
    xy = region.to_frame(points)
    z = landmarks[:, 2:3] * np.float32(region.side_px / SIDE_PX)
    score = _sigmoid(landmarks[:, 3:].min(axis=1, keepdims=True))
    return Body(
        landmarks=np.concatenate([xy, z, score], axis=1)[:NUM_LANDMARKS],
        presence=presence,
        region=region,
        next_region=Region.around(xy[CENTRE], xy[EDGE], scale=BODY_SCALE, towards=UPWARDS),
        mask=np.rint(_sigmoid(mask_logits_SS) * 255).astype(np.uint8),
    )


def refined(points_K2: NDArray[np.floating], heatmaps_HWK: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points (K, 2), 0 to 1, moved to the mean position of their heat maps' cells around them.

    A point whose cells are all below `_MIN_PEAK`, or that lies outside the heat map, stays.
    """
    side = heatmaps_HWK.shape[0]
    cell = (points_K2 * side).astype(np.int64)
    inside = ((points_K2 >= 0) & (cell < side)).all(axis=1)
    columns, rows = cell[:, :1] + _WINDOW, cell[:, 1:] + _WINDOW
    rows, columns = rows[:, :, None], columns[:, None, :]
    known = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    which = np.arange(len(points_K2))[:, None, None]
    weights = _sigmoid(heatmaps_HWK[rows.clip(0, side - 1), columns.clip(0, side - 1), which]) * known
    total = weights.sum(axis=(1, 2))
    moves = inside & (weights.max(axis=(1, 2)) >= _MIN_PEAK)
    mean = np.stack([(weights * columns).sum(axis=(1, 2)), (weights * rows).sum(axis=(1, 2))], axis=1)
    mean /= np.maximum(total, 1e-9)[:, None] * side
    return np.where(moves[:, None], mean, points_K2).astype(np.float32)


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    value: NDArray[np.float32] = 1 / (1 + np.exp(-logits.clip(-_MAX_LOGIT, _MAX_LOGIT)))
    return value
