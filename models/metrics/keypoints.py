"""Agreement of the keypoints that a pose network finds in an animation and in the true frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.face.control import similarity
from models.pose.extent import CONFIDENT_SCORE
from models.pose.pck import character_sizes_px, correct
from models.pose.skeleton import EYES, FACE

Keypoints = NDArray[np.float32]
Points = NDArray[np.floating]


def pck(animation_TK3: Keypoints, truth_TK3: Keypoints) -> float | None:
    """Share of the true frames' confident keypoints that the animation has within `PCK_SHARE` of the character's size.

    None if no true frame has two of them.

    Args:
        animation_TK3, truth_TK3: x, y in pixels of frames of one size, and score.

    Raises:
        ValueError: the arrays differ in shape.
    """
    animation, truth = _confident(animation_TK3, truth_TK3)
    right, present, _ = correct(animation, truth)
    return float(right[present].mean()) if present.any() else None


def keypoint_distance(animation_TK3: Keypoints, truth_TK3: Keypoints) -> float | None:
    """Mean distance of the true frames' confident keypoints from those of the animation, relative to the character's
    size and at most 1, which is also the distance of a keypoint that the animation does not have.

    None if no true frame has two of them at different places.

    Args:
        animation_TK3, truth_TK3: as in `pck`.

    Raises:
        ValueError: the arrays differ in shape.
    """
    animation, truth = _confident(animation_TK3, truth_TK3)
    sizes = character_sizes_px(truth)
    counted = (truth[..., 2] > 0) & (sizes > 0)[:, None]
    if not counted.any():
        return None
    offsets = (animation[..., :2] - truth[..., :2])[counted]
    distances = np.linalg.norm(offsets, axis=-1) / np.broadcast_to(sizes[:, None], counted.shape)[counted]
    return float(np.fmin(distances, 1.0).mean())


def expression_error(animation_TK3: Keypoints, truth_TK3: Keypoints) -> float | None:
    """Mean of `landmark_errors` over the landmarks of eyes and mouth, in the frames in which animation and truth have
    the whole face; None if there are none.

    Args:
        animation_TK3, truth_TK3: (T, 133, 3), as in `pck`.

    Raises:
        ValueError: the arrays differ in shape.
    """
    animation, truth = (keypoints[:, FACE] for keypoints in _confident(animation_TK3, truth_TK3))
    whole = (animation[..., 2] > 0).all(axis=1) & (truth[..., 2] > 0).all(axis=1)
    whole &= np.ptp(truth[..., 1], axis=1) > 0
    if not whole.any():
        return None
    errors = landmark_errors(animation[whole, :, :2], truth[whole, :, :2])
    return float(errors[:, EYES.start :].mean())


def landmark_errors(detected_TL2: Points, true_TL2: Points) -> NDArray[np.float64]:
    """Distances (T, 68) of landmarks, relative to the height of the true face, after the best similarity transform."""
    errors = np.empty(true_TL2.shape[:2])
    for row, detected, true in zip(errors, detected_TL2, true_TL2, strict=True):
        matrix = similarity(detected, true)
        row[:] = np.linalg.norm(detected @ matrix[:, :2].T + matrix[:, 2] - true, axis=1) / np.ptp(true[:, 1])
    return errors


def _confident(*keypoints_TK3: Keypoints) -> tuple[Keypoints, ...]:
    """Keypoints, where one without a confident score has the score 0 and no place."""
    if len({keypoints.shape for keypoints in keypoints_TK3}) > 1 or keypoints_TK3[0].ndim != 3:
        shapes = " and ".join(str(keypoints.shape) for keypoints in keypoints_TK3)
        raise ValueError(f"expected keypoints of one shape (T, K, 3), got {shapes}")
    missing = np.array([np.nan, np.nan, 0], np.float32)
    return tuple(np.where(keypoints[..., 2:] >= CONFIDENT_SCORE, keypoints, missing) for keypoints in keypoints_TK3)
