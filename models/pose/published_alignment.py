"""Pose alignment of public implementations, numerically equivalent to the originals.

`models.pose.retarget` offers them as rules, for results comparable with those of the public code; its own rules are
more robust. Like their originals, these functions compute with the coordinates of missing points and measure the first
frame only.

The functions named after an implementation take OpenPose points (`models.pose.openpose`), (T, 134, 3) driving and
(134, 3) reference: x and y relative to the image's width and height, then the score, below `CONFIDENT_SCORE` for a
missing point. Sizes are (height, width). Results are relative to the reference image; scores are unchanged, so missing
points stay missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.openpose import FACE, FEET, LEFT_HAND, NUM_OPENPOSE, RIGHT_HAND, from_openpose, to_openpose

Points = NDArray[np.float64]
PublishedRule = Literal["musepose", "unianimate", "mimicmotion"]

_NOSE, _NECK = 0, 1
_SHOULDERS, _ELBOWS, _WRISTS = (2, 5), (3, 6), (4, 7)
_HIPS, _KNEES, _ANKLES = (8, 11), (9, 12), (10, 13)
_EYES_AND_EARS = (14, 15, 16, 17)
_EARS = (16, 17)
_FINGER_ROOTS = (1, 5, 9, 13, 17)
_MISSING = -1.0


def _bones() -> tuple[tuple[int, int, list[int]], ...]:
    """UniAnimate's bones in its order: parent, child, and points that move with the child."""
    head = (_NECK, _NOSE, [_NOSE, *_EYES_AND_EARS])
    arms, legs = [], []
    for side, hand, toes in ((0, RIGHT_HAND, 21), (1, LEFT_HAND, 18)):
        shoulder, elbow, wrist = _SHOULDERS[side], _ELBOWS[side], _WRISTS[side]
        fingers, foot = [*range(hand.start, hand.stop)], [*range(toes, toes + 3)]
        arms += [(_NECK, shoulder, [shoulder, elbow, wrist, *fingers])]
        arms += [(shoulder, elbow, [elbow, wrist, *fingers]), (elbow, wrist, [wrist, *fingers])]
        hip, knee, ankle = _HIPS[side], _KNEES[side], _ANKLES[side]
        legs += [(hip, knee, [knee, ankle, *foot]), (knee, ankle, [ankle, *foot])]
    face = [(_NOSE, 14, [14, 16]), (_NOSE, 15, [15, 17]), (14, 16, [16]), (15, 17, [17])]
    return (head, *arms, *face, *legs)


_BONES = _bones()


def align_published(
    rule: PublishedRule,
    driving: NDArray[np.float32],
    reference: NDArray[np.float32],
    *,
    driving_size_px: tuple[int, int],
    reference_size_px: tuple[int, int],
) -> NDArray[np.float32] | None:
    """Keypoints (T, 133, 3) aligned as by a public implementation, in pixels of the reference.

    None where neck, shoulders or hips are missing in the reference or in the first driving frame, which all of the
    implementations measure.

    Args:
        rule: the implementation.
        driving: (T, 133, 3) in driving pixels, with scores.
        reference: (133, 3) in reference pixels, with scores.
        driving_size_px, reference_size_px: (height, width).
    """
    sizes = {"driving_size_px": driving_size_px, "reference_size_px": reference_size_px}
    (height, width), (reference_height, reference_width) = driving_size_px, reference_size_px
    points = to_openpose(driving.astype(np.float64)) / (width, height, 1)
    target = to_openpose(reference.astype(np.float64)) / (reference_width, reference_height, 1)
    measured = [_NECK, *_SHOULDERS, *_HIPS]
    if min(points[0, measured, 2].min(), target[measured, 2].min()) < CONFIDENT_SCORE:
        return None
    if rule == "musepose":
        aligned = align_musepose(points, target, **sizes)
    elif rule == "unianimate":
        aligned = align_unianimate(points, target)
    else:
        aligned = rescale_mimicmotion(points, target, **sizes)
    return from_openpose(aligned * (reference_width, reference_height, 1)).astype(np.float32)


def align_musepose(
    driving: Points, reference: Points, *, driving_size_px: tuple[int, int], reference_size_px: tuple[int, int]
) -> Points:
    """MusePose's `pose_align`: limbs scaled outwards from the neck, with ratios of the first frame.

    Missing body joints are used with their coordinates; missing points of hands and face end at -1 plus the shift of
    the neck. MusePose has no feet; their scores are set to 0.
    """
    _check(driving, reference)
    aspect = np.array([reference_size_px[1] / reference_size_px[0], 1.0])
    target = _marked(reference, FACE.start) * aspect
    points = _marked(driving, FACE.start) * [driving_size_px[1] / driving_size_px[0], 1.0]
    ratios = musepose_ratios(target, points[0])

    moved = points.copy()
    steps: tuple[tuple[str, Sequence[int] | slice, int], ...] = (
        ("neck", (_NOSE,), _NECK),
        ("face", _EYES_AND_EARS, _NOSE),
        ("shoulder", _SHOULDERS, _NECK),
        *(("arm_upper", (elbow,), shoulder) for elbow, shoulder in zip(_ELBOWS, _SHOULDERS, strict=True)),
        *(("arm_lower", (wrist,), elbow) for wrist, elbow in zip(_WRISTS, _ELBOWS, strict=True)),
        ("hand", RIGHT_HAND, _WRISTS[0]),
        ("hand", LEFT_HAND, _WRISTS[1]),
        ("body_len", _HIPS, _NECK),
        *(("leg_upper", (knee,), hip) for knee, hip in zip(_KNEES, _HIPS, strict=True)),
        *(("leg_lower", (ankle,), knee) for ankle, knee in zip(_ANKLES, _KNEES, strict=True)),
    )
    for name, children, parent in steps:
        centre = moved[:, [parent]]
        carried = points[:, children] - points[:, [parent]] + centre
        # The original uses cv2.getRotationMatrix2D, which takes the centre in single precision.
        moved[:, children] = ratios[name] * carried + (1 - ratios[name]) * centre.astype(np.float32).astype(np.float64)
    moved[:, FACE.start :][driving[:, FACE.start :, 2] < CONFIDENT_SCORE] = _MISSING
    aligned = driving.copy()
    aligned[..., :2] = (moved + target[_NECK] - points[0, _NECK]) / aspect
    aligned[:, FEET] = 0.0
    return aligned


def musepose_ratios(reference: Points, first: Points) -> Mapping[str, float]:
    """The ratios of `align_musepose`, reference over driving, of points (134, 2) in image heights, missing as -1.

    0 / 0 becomes 1; division of a positive length by 0 gives infinity, as in the original.
    """

    def ratio(a: int, b: int) -> float:
        return _divide(np.linalg.norm(reference[a] - reference[b]), np.linalg.norm(first[a] - first[b]))

    def mean(parents: Sequence[int], children: Sequence[int]) -> float:
        return sum(ratio(a, b) for a, b in zip(parents, children, strict=True)) / 2

    def torso(points: Points) -> float:
        return float(np.linalg.norm(points[_NECK] - points[list(_HIPS)].mean(axis=0)))

    arm_upper, arm_lower = mean(_SHOULDERS, _ELBOWS), mean(_ELBOWS, _WRISTS)
    palms = [ratio(hand.start, hand.start + root) for hand in (LEFT_HAND, RIGHT_HAND) for root in _FINGER_ROOTS]
    palms = [palm for palm in palms if np.isfinite(palm)]
    hand = (sum(palms) / len(palms) + arm_upper + arm_lower) / 3 if palms else (arm_upper + arm_lower) / 2
    ratios = {
        "neck": ratio(_NOSE, _NECK),
        "face": ratio(*_EARS),
        "shoulder": ratio(*_SHOULDERS),
        "arm_upper": arm_upper,
        "arm_lower": arm_lower,
        "hand": hand,
        "body_len": _divide(torso(reference), torso(first)),
        "leg_upper": mean(_HIPS, _KNEES),
        "leg_lower": mean(_KNEES, _ANKLES),
    }
    return {name: 1.0 if np.isnan(value) else value for name, value in ratios.items()}


def align_unianimate(driving: Points, reference: Points) -> Points:
    """UniAnimate's `run_align_pose`: axis scaling, then bone scaling from the neck, measured on the first frame.

    The axes are scaled to match shoulder width and torso height. Missing points are -1 and move like other points. A
    bone with both ends missing in the first frame has no ratio: its descendants get score 0 in all frames. The
    original's toe is the midpoint of big and small toe, missing if either is.
    """
    _check(driving, reference)
    target, points = _marked(reference, 0), _marked(driving, 0)
    points *= _shoulders_and_torso(target) / _shoulders_and_torso(points[0])
    for parent, child, carried in _BONES:
        ratio = _divide(
            np.linalg.norm(target[parent] - target[child]), np.linalg.norm(points[0, parent] - points[0, child])
        )
        shift = (points[:, parent] - points[:, child]) * (1 - ratio)
        points[:, carried] += shift[:, None]
    aligned = driving.copy()
    aligned[..., :2] = points + target[_NECK] - points[0, _NECK]
    aligned[~np.isfinite(aligned).all(axis=-1)] = 0.0
    return aligned


def rescale_mimicmotion(
    driving: Points, reference: Points, *, driving_size_px: tuple[int, int], reference_size_px: tuple[int, int]
) -> Points:
    """MimicMotion's rescale: one scale and shift per axis for the whole clip.

    The vertical scale and shift are a least-squares fit from the driving y to the reference y, in all frames, over the
    nose, neck, shoulders, legs, eyes and ears detected in the reference. The horizontal scale follows from the two
    aspect ratios, its shift is the mean residual.
    """
    _check(driving, reference)
    trunk = [_NOSE, _NECK, *_SHOULDERS, *range(_HIPS[0], 18)]
    trunk = [joint for joint in trunk if reference[joint, 2] > CONFIDENT_SCORE]
    x, y = (driving[:, trunk, axis].ravel() for axis in (0, 1))
    target_x, target_y = (np.tile(reference[trunk, axis], len(driving)) for axis in (0, 1))
    scale_y, shift_y = np.polyfit(y, target_y, 1)
    driving_aspect, aspect = (size[1] / size[0] for size in (driving_size_px, reference_size_px))
    scale_x = scale_y * driving_aspect / aspect
    shift_x = np.mean(target_x - scale_x * x)
    aligned = driving.copy()
    aligned[..., :2] = driving[..., :2] * [scale_x, scale_y] + [shift_x, shift_y]
    return aligned


def _check(driving: Points, reference: Points) -> None:
    if driving.ndim != 3 or driving.shape[1:] != (NUM_OPENPOSE, 3) or reference.shape != (NUM_OPENPOSE, 3):
        raise ValueError(
            f"OpenPose points must be (T, {NUM_OPENPOSE}, 3) and ({NUM_OPENPOSE}, 3), "
            f"got {driving.shape} and {reference.shape}"
        )


def _marked(points: Points, first: int) -> Points:
    """Coordinates with missing points from index `first` on set to -1, as in the originals."""
    xy, missing = points[..., :2].copy(), points[..., 2] < CONFIDENT_SCORE
    for big_toe in (FEET.start, FEET.start + 3):
        missing[..., big_toe : big_toe + 2] = missing[..., big_toe : big_toe + 2].any(axis=-1, keepdims=True)
    missing[..., :first] = False
    xy[missing] = _MISSING
    return xy


def _shoulders_and_torso(points: Points) -> Points:
    """Signed shoulder width and torso height of points (134, 2)."""
    shoulders, hips = points[list(_SHOULDERS)], points[list(_HIPS)]
    return np.array([shoulders[1, 0] - shoulders[0, 0], (hips.mean(axis=0) - shoulders.mean(axis=0))[1]])


def _divide(dividend: np.floating | float, divisor: np.floating | float) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(dividend) / np.float64(divisor))
