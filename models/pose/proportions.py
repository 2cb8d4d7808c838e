"""Proportions of a skeleton: groups of limbs, how their lengths compare, and a skeleton rebuilt with other lengths."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import FACE, INDEX, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

Points = NDArray[np.float64]
Seen = NDArray[np.bool_]
Pairs = tuple[tuple[int, int], ...]

MAX_DISPROPORTION = 4.0
"""A limb's ratio stays within this factor of the overall scale: more is a limb seen end-on, not a proportion."""

ALIKE_DEGREES = 20.0
"""Two limbs turned by less against each other point much the same way."""

NECK, MID_HIP = NUM_KEYPOINTS, NUM_KEYPOINTS + 1
"""Indices of the two centres that follow the 133 keypoints: the middle of the shoulders and that of the hips."""

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
            (FACE.start, FACE.start + 16),  # the two ends of the jaw line
        ),
        "hands": tuple(pair for finger in _FINGERS for pair in _both("hand_wrist", f"{finger}_1")),
        "feet": tuple(pair for part in _TOES_AND_HEEL for pair in _both("ankle", part)),
    }
)
"""Name of a group of limbs that share one proportion -> the point pairs whose summed lengths measure it."""

_Node = tuple[list[int], str, tuple[int, ...]]


def _tree() -> tuple[_Node, ...]:
    """(points, their group, their ancestors from the parent up to the neck), parents before children."""
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


def with_centres(keypoints: NDArray[np.float32], min_score: float) -> tuple[Points, Seen]:
    """Coordinates (..., 135, 2), 0 where unseen, and which are seen (..., 135), of keypoints (..., 133, 3) and centres.

    Raises:
        ValueError: a point of at least `min_score` that is not finite.
    """
    seen = keypoints[..., 2] >= min_score
    xy = np.where(seen[..., None], keypoints[..., :2].astype(np.float64), 0.0)
    if not np.isfinite(xy).all():
        raise ValueError(f"keypoints that score at least {min_score} must have finite coordinates")
    pairs = np.array([BODY_GROUPS["shoulders"][0], BODY_GROUPS["hips"][0]])
    centres: Points = xy[..., pairs, :].mean(axis=-2)
    centres_seen: Seen = np.all(seen[..., pairs], axis=-1)
    centres = np.where(centres_seen[..., None], centres, 0.0)
    return np.concatenate([xy, centres], axis=-2), np.concatenate([seen, centres_seen], axis=-1)


def most_alike_frame(points: Points, seen: Seen, target: Points, target_seen: Seen) -> int:
    """The frame of (T, 135, 2) whose body limbs point most like those of the target (135, 2): first of the best.

    Each limb that both have counts by how little it is turned: 1 where it points the same way, near 0 from twice
    `ALIKE_DEGREES` on. One joint found in a wrong place thus costs a frame no more than its limbs.
    """
    pairs = np.array([pair for group in BODY_GROUPS.values() for pair in group])
    common = seen[:, pairs].all(axis=-1) & target_seen[pairs].all(axis=-1)
    limbs, target_limbs = np.diff(points[:, pairs], axis=2)[:, :, 0], np.diff(target[pairs], axis=1)[:, 0]
    lengths = np.linalg.norm(limbs, axis=-1) * np.linalg.norm(target_limbs, axis=-1)
    cosines = (limbs * target_limbs).sum(axis=-1) / np.where(lengths > 0, lengths, 1.0)
    turned = np.degrees(np.arccos(np.clip(cosines, -1, 1))) / ALIKE_DEGREES
    return int(np.argmax((np.exp(-(turned**2)) * (common & (lengths > 0))).sum(axis=1)))


def summed_lengths(
    groups: Mapping[str, Pairs], points: Points, seen: Seen, target: Points, target_seen: Seen
) -> dict[str, tuple[float, float]]:
    """For each group the summed lengths, in either skeleton (135, 2), of the pairs that both have: first, target.

    Groups without such a pair, or of length 0 in either, are left out.
    """
    lengths = {}
    for name, pairs in groups.items():
        of_first, of_target = (float(of_pairs.sum()) for of_pairs in _lengths(pairs, points, seen, target, target_seen))
        if of_first > 0 and of_target > 0:
            lengths[name] = (of_first, of_target)
    return lengths


def length_ratios(pairs: Pairs, points: Points, seen: Seen, target: Points, target_seen: Seen) -> list[float]:
    """Length in the target (135, 2) over that in the first skeleton (135, 2), of each pair that has one in both."""
    of_first, of_target = _lengths(pairs, points, seen, target, target_seen)
    known = (of_first > 0) & (of_target > 0)
    ratios: list[float] = (of_target[known] / of_first[known]).tolist()
    return ratios


def _lengths(pairs: Pairs, points: Points, seen: Seen, target: Points, target_seen: Seen) -> tuple[Points, Points]:
    """In either skeleton, of the pairs that both have."""
    common = np.array(pairs)[(seen & target_seen)[np.array(pairs)].all(axis=1)]
    first, second = (np.linalg.norm(xy[common[:, 0]] - xy[common[:, 1]], axis=1) for xy in (points, target))
    return first, second


def with_lengths(
    points: Points, seen: Seen, ratios: Mapping[str, float], placed: Points, scale: float, *, root: int = NECK
) -> Points:
    """Skeletons (T, 135, 2) rebuilt from the neck outwards, limbs of a group multiplied by its ratio.

    `placed` (T, 135, 2) are the points at the overall `scale`: where the `root` goes (neck, middle of the hips or
    nose), and points with no ancestor seen. The neck follows from another root by the ratio of what is between them.
    Points whose parent is unseen hang from the next ancestor seen, at the overall scale, which also stands in for the
    ratio of a group that `ratios` lacks.
    """
    moved = placed.copy()
    frames = np.arange(len(points))
    if root != NECK:
        to_neck = ratios.get("torso" if root == MID_HIP else "neck", scale)
        from_root = np.asarray(seen[:, root] & seen[:, NECK])[:, None]
        moved[:, NECK] = np.where(
            from_root, placed[:, root] + to_neck * (points[:, NECK] - points[:, root]), placed[:, NECK]
        )
    for nodes, group, ancestors in _TREE:
        hangs = seen[:, ancestors]
        nearest = hangs.argmax(axis=1)
        root = np.array(ancestors)[nearest]
        ratio = np.where(nearest == 0, ratios.get(group, scale), scale)[:, None, None]
        hung = moved[frames, root][:, None] + ratio * (points[:, nodes] - points[frames, root][:, None])
        moved[:, nodes] = np.where(np.asarray(hangs.any(axis=1))[:, None, None], hung, moved[:, nodes])
    return moved
