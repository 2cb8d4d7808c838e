"""Person detection with BlazePose's detector (`pose_detection.tflite`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.perception.mediapipe.interpreter import TfliteNetwork
from models.perception.mediapipe.region import UPWARDS, Region

SIDE_PX = 224
ANCHORS_PER_CELL = {8: 2, 16: 2, 32: 6}
"""By the stride of the cells, in pixels of the crop."""
NUM_KEYPOINTS = 4
MIN_SCORE = 0.5
MAX_IOU = 0.3
"""Detections that overlap a better one by more are the same person."""
BODY_SCALE = 1.25
"""Half a side of a person's region relative to the circle that the detector puts around the person."""
_MAX_LOGIT = 80.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """One person found in a frame.

    `box`: (4,) x0, y0, x1, y1 of the head, in pixels. `region`: of the whole person, turned so that it stands upright.
    """

    box: NDArray[np.float32]
    score: float
    region: Region


def _anchors() -> NDArray[np.float32]:
    """(2254, 2) centre of each output cell, x and y from 0 to 1."""
    layers = []
    for stride, count in ANCHORS_PER_CELL.items():
        side = SIDE_PX // stride
        row, column = np.mgrid[:side, :side].reshape(2, -1)
        layers.append(np.repeat((np.stack([column, row], axis=1) + 0.5) / side, count, axis=0))
    return np.concatenate(layers).astype(np.float32)


ANCHORS = _anchors()


class BodyDetector:
    """Detector of persons in frames."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            CheckpointError: LiteRT is not installed, or the file is absent, damaged or of another network.
        """
        shapes = [(len(ANCHORS), 4 + 2 * NUM_KEYPOINTS), (len(ANCHORS), 1)]
        self.network = TfliteNetwork(path, side_px=SIDE_PX, output_shapes=shapes, black=-1.0)

    def detect(self, frame_HWC: NDArray[np.uint8]) -> list[Detection]:
        """Persons in a frame, best first."""
        height, width = frame_HWC.shape[:2]
        whole = Region.of_frame(width_px=width, height_px=height)
        values, logits = self.network.run(whole.cut(frame_HWC, SIDE_PX))
        points_NK2, scores = decode(values, logits[:, 0])
        return [_detection(whole.to_frame(points), float(s)) for points, s in zip(points_NK2, scores, strict=True)]


def decode(
    values_NC: NDArray[np.float32], logits_N: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points (M, 6, 2), 0 to 1 in the crop, and scores (M,) of persons, best first.

    The points are two opposite corners of the box, then four keypoints: middle of the hips, edge of the circle around
    the whole person, middle of the shoulders, edge of the circle around the upper body.
    """
    scores = 1 / (1 + np.exp(-logits_N.clip(-_MAX_LOGIT, _MAX_LOGIT)))
    kept = np.flatnonzero(scores >= MIN_SCORE)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    values, scores = values_NC[kept].reshape(-1, 2 + NUM_KEYPOINTS, 2) / SIDE_PX, scores[kept]
    centre, half = values[:, :1] + ANCHORS[kept, None], values[:, 1:2] / 2
    points = np.concatenate([centre - half, centre + half, values[:, 2:] + ANCHORS[kept, None]], axis=1)
    return merged(points, scores)


def merged(
    points_NK2: NDArray[np.float32], scores_N: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weighted non-maximum suppression: the mean of overlapping detections, weighted by score, in place of the best.

    The first two points are the corners of the box. Detections are given best first.
    """
    persons, scores = [], []
    rest = np.arange(len(points_NK2))
    while len(rest):
        same = rest[box_ious(points_NK2[rest[0], :2].ravel(), points_NK2[rest, :2].reshape(-1, 4)) > MAX_IOU]
        same = same if len(same) else rest[:1]
        persons.append(np.average(points_NK2[same], axis=0, weights=scores_N[same]))
        scores.append(scores_N[rest[0]])
        rest = np.setdiff1d(rest[1:], same)
    return np.array(persons, np.float32).reshape(-1, *points_NK2.shape[1:]), np.array(scores, np.float32)


def box_ious(box: NDArray[np.floating], boxes_N4: NDArray[np.floating]) -> NDArray[np.floating]:
    """(N,) intersection over union of a box with others, each x0, y0, x1, y1; 0 for empty boxes."""
    sides = np.minimum(box[2:], boxes_N4[:, 2:]) - np.maximum(box[:2], boxes_N4[:, :2])
    shared = sides.clip(0).prod(axis=1)
    areas = (boxes_N4[:, 2:] - boxes_N4[:, :2]).clip(0).prod(axis=1)
    union = areas + (box[2:] - box[:2]).clip(0).prod() - shared
    ious: NDArray[np.floating] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ious


def _detection(points_K2: NDArray[np.float32], score: float) -> Detection:
    region = Region.around(points_K2[2], points_K2[3], scale=BODY_SCALE, towards=UPWARDS)
    return Detection(box=points_K2[:2].ravel(), score=score, region=region)
