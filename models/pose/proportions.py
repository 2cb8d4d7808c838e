"""Proportions of a skeleton: groups of limbs, length ratios, and rebuilding with other lengths."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import FACE, INDEX, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

Points = NDArray[np.float64]
Visibility = NDArray[np.bool_]
Pairs = tuple[tuple[int, int], ...]

ALIKE_DEGREES = 20.0
"""Angle between two limbs at which their similarity falls to 1/e."""

NECK, MID_HIP = NUM_KEYPOINTS, NUM_KEYPOINTS + 1
"""Indices of the two centres appended to the 133 keypoints: the midpoints of the shoulders and of the hips."""

_SIDES = ("left", "right")
_TOES_AND_HEEL = ("big_toe", "small_toe", "heel")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def _both(first: str, second: str) -> Pairs:
    return tuple((INDEX[f"{side}_{first}"], INDEX[f"{side}_{second}"]) for side in _SIDES)


BODY_GROUPS: Mapping[str, Pairs] = MappingProxyType(
    {
        "shoulders": ((INDEX["left_shoulder"], INDEX["right_shoulder"]),),
        "hips": ((INDEX["left_hip"], INDEX["right_hip"]),),
        "torso": ((NECK, MID_HIP),),
        "neck": ((NECK, INDEX["nose"]),),
        "upper_arms": _both("shoulder", "elbow"),
        "forearms": _both("elbow", "wrist"),
        "thighs": _both("hip", "knee"),
        "shins": _both("knee", "ankle"),
    }
)
GROUPS: Mapping[str, Pairs] = MappingProxyType(
    {
        **BODY_GROUPS,
        "head": (
            *((INDEX["nose"], INDEX[f"{side}_{part}"]) for side in _SIDES for part in ("eye", "ear")),
            *((INDEX[f"left_{part}"], INDEX[f"right_{part}"]) for part in ("eye", "ear")),
            (FACE.start, FACE.start + 16),  # ends of the jaw line
        ),
        "hands": tuple(pair for finger in _FINGERS for pair in _both("hand_wrist", f"{finger}_1")),
        "feet": tuple(pair for part in _TOES_AND_HEEL for pair in _both("ankle", part)),
    }
)
"""Name of a group of limbs that share one ratio -> point pairs whose summed lengths measure it."""

_Node = tuple[list[int], str, tuple[int, ...]]


def _tree() -> tuple[_Node, ...]:
    """Skeleton tree as (points, their group, their ancestors from the parent to the neck), parents before children."""
    nose = INDEX["nose"]
    head = [INDEX[f"{side}_{part}"] for side in _SIDES for part in ("eye", "ear")] + [*range(FACE.start, FACE.stop)]
    nodes: list[_Node] = [
        ([nose], "neck", (NECK,)),
        (head, "head", (nose, NECK)),
        ([MID_HIP], "torso", (NECK,)),
    ]
    for side, hand in zip(_SIDES, (LEFT_HAND, RIGHT_HAND), strict=True):
        shoulder, elbow, wrist, hip, knee, ankle = (
            INDEX[f"{side}_{joint}"] for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        )
        nodes += [
            ([shoulder], "shoulders", (NECK,)),
            ([elbow], "upper_arms", (shoulder, NECK)),
            ([wrist], "forearms", (elbow, shoulder, NECK)),
            ([*range(hand.start, hand.stop)], "hands", (wrist, elbow, shoulder, NECK)),
            ([hip], "hips", (MID_HIP, NECK)),
            ([knee], "thighs", (hip, MID_HIP, NECK)),
            ([ankle], "shins", (knee, hip, MID_HIP, NECK)),
            ([INDEX[f"{side}_{part}"] for part in _TOES_AND_HEEL], "feet", (ankle, knee, hip, MID_HIP, NECK)),
        ]
    return tuple(nodes)


_TREE = _tree()


def with_centres(keypoints: NDArray[np.float32], min_score: float) -> tuple[Points, Visibility]:
    """Coordinates (..., 135, 2) and visibility (..., 135) of keypoints (..., 133, 3) and the two centres.

    A point is visible if it scores at least `min_score`, a centre if both its points are visible. Coordinates of other
    points are 0.

    Raises:
        ValueError: a point of at least `min_score` is not finite.
    """
    visible = keypoints[..., 2] >= min_score
    xy = np.where(visible[..., None], keypoints[..., :2].astype(np.float64), 0.0)
    if not np.isfinite(xy).all():
        raise ValueError(f"keypoints that score at least {min_score} must have finite coordinates")
    pairs = np.array([BODY_GROUPS["shoulders"][0], BODY_GROUPS["hips"][0]])
    centres: Points = xy[..., pairs, :].mean(axis=-2)
    centres_visible: Visibility = np.all(visible[..., pairs], axis=-1)
    centres = np.where(centres_visible[..., None], centres, 0.0)
    return np.concatenate([xy, centres], axis=-2), np.concatenate([visible, centres_visible], axis=-1)


def most_alike_frame(points: Points, visible: Visibility, target: Points, target_visible: Visibility) -> int:
    """Index of the frame of (T, 135, 2) whose body limb directions are most similar to the target's (135, 2).

    Each common limb contributes exp(-(angle / `ALIKE_DEGREES`)²), which bounds the effect of a misplaced joint. The
    first frame wins ties.
    """
    pairs = np.array([pair for group in BODY_GROUPS.values() for pair in group])
    common = visible[:, pairs].all(axis=-1) & target_visible[pairs].all(axis=-1)
    limbs, target_limbs = np.diff(points[:, pairs], axis=2)[:, :, 0], np.diff(target[pairs], axis=1)[:, 0]
    lengths = np.linalg.norm(limbs, axis=-1) * np.linalg.norm(target_limbs, axis=-1)
    cosines = (limbs * target_limbs).sum(axis=-1) / np.where(lengths > 0, lengths, 1.0)
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1))) / ALIKE_DEGREES
    return int(np.argmax((np.exp(-(angles**2)) * (common & (lengths > 0))).sum(axis=1)))


def summed_lengths(
    groups: Mapping[str, Pairs], points: Points, visible: Visibility, target: Points, target_visible: Visibility
) -> dict[str, tuple[float, float]]:
    """Summed lengths of each group's common pairs in two skeletons (135, 2), as (first, target).

    Groups without a common pair, or with length 0 in either skeleton, are omitted.
    """
    lengths = {}
    for name, pairs in groups.items():
        of_first, of_target = (
            float(of_pairs.sum()) for of_pairs in _lengths(pairs, points, visible, target, target_visible)
        )
        if of_first > 0 and of_target > 0:
            lengths[name] = (of_first, of_target)
    return lengths


def length_ratios(
    pairs: Pairs, points: Points, visible: Visibility, target: Points, target_visible: Visibility
) -> list[float]:
    """Length in the target (135, 2) over that in the first skeleton (135, 2), for pairs with a length in both."""
    of_first, of_target = _lengths(pairs, points, visible, target, target_visible)
    measurable = (of_first > 0) & (of_target > 0)
    ratios: list[float] = (of_target[measurable] / of_first[measurable]).tolist()
    return ratios


def _lengths(
    pairs: Pairs, points: Points, visible: Visibility, target: Points, target_visible: Visibility
) -> tuple[Points, Points]:
    """Lengths of the pairs visible in both skeletons, in the first and in the target."""
    common = np.array(pairs)[(visible & target_visible)[np.array(pairs)].all(axis=1)]
    first, second = (np.linalg.norm(xy[common[:, 0]] - xy[common[:, 1]], axis=1) for xy in (points, target))
    return first, second


def with_lengths(
    points: Points, visible: Visibility, ratios: Mapping[str, float], placed: Points, scale: float, *, root: int = NECK
) -> Points:
    """Rebuild skeletons (T, 135, 2) from the neck outwards, with the limbs of each group scaled by its ratio.

    `placed` (T, 135, 2) are the points scaled by the overall `scale`. They give the position of the `root` (neck,
    middle of the hips or nose) and of points without a visible ancestor. From another root, the neck is placed with the
    ratio of the group between them; in frames without that root, its distance from `placed` is interpolated. Points
    with an invisible parent are attached to the next visible ancestor with the overall scale, which also replaces the
    ratio of a group missing in `ratios`.
    """
    moved = placed.copy()
    frames = np.arange(len(points))
    if root != NECK:
        to_neck = ratios.get("torso" if root == MID_HIP else "neck", scale)
        from_root = np.asarray(visible[:, root] & visible[:, NECK])
        built = placed[:, root] + to_neck * (points[:, NECK] - points[:, root])
        moved[:, NECK] += interpolated(built - placed[:, NECK], from_root)
    for nodes, group, ancestors in _TREE:
        attachable = visible[:, ancestors]
        nearest = attachable.argmax(axis=1)
        root = np.array(ancestors)[nearest]
        ratio = np.where(nearest == 0, ratios.get(group, scale), scale)[:, None, None]
        attached = moved[frames, root][:, None] + ratio * (points[:, nodes] - points[frames, root][:, None])
        moved[:, nodes] = np.where(np.asarray(attachable.any(axis=1))[:, None, None], attached, moved[:, nodes])
    return moved


def interpolated(values: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values (T, ...), interpolated linearly over the frames where they are not known; 0 if they are known nowhere."""
    frames, flat = np.arange(len(values)), values.reshape(len(values), -1)
    if not known.any():
        return np.zeros_like(values)
    columns = [np.interp(frames, frames[known], column[known]) for column in flat.T]
    return np.stack(columns, axis=1).reshape(values.shape)
