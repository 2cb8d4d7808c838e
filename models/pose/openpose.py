"""Conversion between the 133 COCO-WholeBody keypoints and the OpenPose layout of pose-conditioned checkpoints.

134 points: 18 body (nose, neck, right arm, left arm, right leg, left leg, eyes, ears), 6 feet, 68 face, 21 left hand,
21 right hand. The neck is the midpoint of the shoulders.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.pose import skeleton
from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import INDEX, NUM_KEYPOINTS, Float

NUM_OPENPOSE = NUM_KEYPOINTS + 1
BODY = slice(0, 18)
FEET = slice(18, 24)
FACE = slice(24, 92)
LEFT_HAND = slice(92, 113)
RIGHT_HAND = slice(113, 134)

_NECK = NUM_KEYPOINTS  # index of the appended neck before reordering
_BODY_ORDER = (
    INDEX["nose"],
    _NECK,
    *(INDEX[f"{side}_{part}"] for side in ("right", "left") for part in ("shoulder", "elbow", "wrist")),
    *(INDEX[f"{side}_{part}"] for side in ("right", "left") for part in ("hip", "knee", "ankle")),
    *(INDEX[f"{side}_{part}"] for part in ("eye", "ear") for side in ("right", "left")),
)
_ORDER = np.array((*_BODY_ORDER, *range(skeleton.FEET.start, NUM_KEYPOINTS)))
_SHOULDERS = (INDEX["left_shoulder"], INDEX["right_shoulder"])


def to_openpose(keypoints: NDArray[Float], *, min_score: float = CONFIDENT_SCORE) -> NDArray[Float]:
    """Convert keypoints (..., 133, 3) to OpenPose points (..., 134, 3): x, y, score.

    The neck's score is 1 where both shoulders score at least `min_score`, else 0.

    Raises:
        ValueError: the keypoints have another shape.
    """
    if keypoints.shape[-2:] != (NUM_KEYPOINTS, 3):
        raise ValueError(f"keypoints must be (..., {NUM_KEYPOINTS}, 3), got {keypoints.shape}")
    left, right = (keypoints[..., index, :] for index in _SHOULDERS)
    neck = (left + right) / 2
    neck[..., 2] = (left[..., 2] >= min_score) & (right[..., 2] >= min_score)
    with_neck: NDArray[Float] = np.concatenate([keypoints, neck[..., None, :]], axis=-2)[..., _ORDER, :]
    return with_neck


def from_openpose(points: NDArray[Float]) -> NDArray[Float]:
    """Convert OpenPose points (..., 134, 3) to keypoints (..., 133, 3), dropping the neck.

    Raises:
        ValueError: the points have another shape.
    """
    if points.shape[-2:] != (NUM_OPENPOSE, 3):
        raise ValueError(f"OpenPose points must be (..., {NUM_OPENPOSE}, 3), got {points.shape}")
    keypoints = np.zeros_like(points)
    keypoints[..., _ORDER, :] = points
    return keypoints[..., :NUM_KEYPOINTS, :]
