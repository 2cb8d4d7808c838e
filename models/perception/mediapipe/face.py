"""Face landmarks from a body's head (`face_landmark.tflite`)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.perception.mediapipe.body import Body
from models.perception.mediapipe.interpreter import TfliteNetwork
from models.perception.mediapipe.region import Region

SIDE_PX = 192
NUM_LANDMARKS = 468
HEAD = slice(0, 11)
"""Landmarks of the head among those of the body."""
_RIGHT_EYE, _LEFT_EYE = 5, 2
SCALE = 3.75
"""Side of the region relative to the distance of the head's farthest landmark from their mean."""
MIN_PRESENCE = 0.5
"""Least probability that there is a face in the region."""
_MAX_LOGIT = 80.0


class FaceLandmarks:
    """Face mesh of a person."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            CheckpointError: LiteRT is not installed, or the file is absent, damaged or of another network.
        """
        shapes = [(1, 1, 3 * NUM_LANDMARKS), (1, 1, 1)]
        self.network = TfliteNetwork(path, side_px=SIDE_PX, output_shapes=shapes)

    def find(self, frame_HWC: NDArray[np.uint8], body: Body) -> NDArray[np.float32] | None:
        """Landmarks (468, 3) of the face, x, y in pixels of the frame and score 0–1; None if it is not in view."""
        region = region_from_body(body)
        values, logit = self.network.run(region.cut(frame_HWC, SIDE_PX))
        presence = 1 / (1 + math.exp(-max(-_MAX_LOGIT, min(float(logit[0, 0, 0]), _MAX_LOGIT))))
        if presence < MIN_PRESENCE:
            return None
        xy = region.to_frame(values.reshape(NUM_LANDMARKS, 3)[:, :2] / SIDE_PX)
        return np.column_stack([xy, np.full(NUM_LANDMARKS, presence, np.float32)])


def region_from_body(body: Body) -> Region:
    """Region of the face: around the head's landmarks, with the eyes level."""
    head = body.landmarks[HEAD, :2]
    centre = head.mean(axis=0)
    dx, dy = (float(value) for value in head[_LEFT_EYE] - head[_RIGHT_EYE])
    radius = float(np.linalg.norm(head - centre, axis=1).max())
    return Region(x=float(centre[0]), y=float(centre[1]), side_px=SCALE * radius, angle=math.atan2(dy, dx))
