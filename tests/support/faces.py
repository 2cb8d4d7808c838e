"""A face of 68 landmarks in the iBUG order, for tests of the face signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import FACE, NUM_KEYPOINTS


def _arc(centre: tuple[float, float], radii: tuple[float, float], degrees: tuple[float, float], num: int) -> list:
    angles = np.radians(np.linspace(*degrees, num))
    return [[centre[0] + radii[0] * np.cos(a), centre[1] + radii[1] * np.sin(a)] for a in angles]


FACE_LANDMARKS: NDArray[np.float32] = np.array(
    [
        *_arc((0, -0.1), (0.45, 0.6), (180, 0), 17),  # jaw
        *_arc((-0.22, -0.4), (0.14, 0.1), (200, 340), 5),  # brows
        *_arc((0.22, -0.4), (0.14, 0.1), (200, 340), 5),
        *[[0, y] for y in (-0.25, -0.15, -0.05, 0.05)],  # nose
        *_arc((0, 0.08), (0.1, 0.04), (180, 0), 5),
        *_arc((-0.2, -0.25), (0.09, 0.05), (180, 480), 6),  # eyes
        *_arc((0.2, -0.25), (0.09, 0.05), (180, 480), 6),
        *_arc((0, 0.25), (0.18, 0.08), (180, 510), 12),  # mouth
        *_arc((0, 0.25), (0.1, 0.03), (180, 495), 8),
    ],
    np.float32,
)
FACE_LANDMARKS[:, 1] = (FACE_LANDMARKS[:, 1] - FACE_LANDMARKS[:, 1].min()) / np.ptp(FACE_LANDMARKS[:, 1]) - 0.5


def face_at(x: float, y: float, height_px: float) -> NDArray[np.float32]:
    """Landmarks (68, 3) of a face of this height around x, y; all scores are 1."""
    xy = FACE_LANDMARKS * height_px + np.array([x, y], np.float32)
    return np.concatenate([xy, np.ones((68, 1))], axis=1).astype(np.float32)


def with_face(landmarks_68_3: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keypoints (133, 3) that hold nothing but a face."""
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    keypoints[FACE] = landmarks_68_3
    return keypoints
