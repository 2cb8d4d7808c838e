"""COCO-WholeBody keypoints from MediaPipe's landmarks. Left and right are the person's own in both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import BODY, FACE, INDEX, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

BODY_LANDMARKS = np.array([0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])
FOOT_LANDMARKS = {"left_big_toe": 31, "left_heel": 29, "right_big_toe": 32, "right_heel": 30}
"""BlazePose has no small toes."""
FACE_LANDMARKS = np.array(
    [
        *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
        *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
        *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
        *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
        *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87),  # mouth
    ]
)
"""Vertices of the face mesh nearest to the 68 landmarks."""


def whole_body(
    body: NDArray[np.float32],
    *,
    left_hand: NDArray[np.float32] | None,
    right_hand: NDArray[np.float32] | None,
    face: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """Keypoints (133, 3), x, y and score; small toes and parts that are None are 0.

    Args:
        body: (33, 4) landmarks x, y, z, score.
        left_hand: (21, 3) landmarks x, y, score.
        right_hand: likewise.
        face: (468, 3) landmarks x, y, score.
    """
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    points = body[:, [0, 1, 3]]
    keypoints[BODY] = points[BODY_LANDMARKS]
    keypoints[[INDEX[name] for name in FOOT_LANDMARKS]] = points[list(FOOT_LANDMARKS.values())]
    for part, landmarks in ((LEFT_HAND, left_hand), (RIGHT_HAND, right_hand)):
        if landmarks is not None:
            keypoints[part] = landmarks
    if face is not None:
        keypoints[FACE] = face[FACE_LANDMARKS]
    return keypoints
