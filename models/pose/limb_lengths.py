"""Limbs of impossible length: longer than any character's, or than the clip's own.

Foreshortening makes a limb shorter in the picture, never longer; lengths are therefore bounded from above only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import FACE, FEET, INDEX, LEFT_HAND, LIMBS, NUM_KEYPOINTS, RIGHT_HAND

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

# Bounds are in units of the skeleton: the median length of its trunk, arms and legs. In parentheses, the largest value
# in 3600 frames of ground truth of puppets (half of them no humans, with heads and shoulders of any size), which
# people stay below, and typical values of skeletons over two persons side by side.
MAX_LIMB = 2.0
"""Arms and legs (1.5; 4 to 8)."""
MAX_MISPLACED = 3.0
"""A longer arm or leg reaches to another person; a shorter one has a misplaced joint (2.7, folded arms of a puppet)."""
MAX_SIDE = 4.5
"""From shoulder to hip (4.3; 4 to 7)."""
MAX_SIDES_RATIO = 2.5
"""The longer side of the trunk to the shorter one (1.8; 4.5)."""
MAX_SHOULDERS_TO_SIDE, MAX_HIPS_TO_SIDE = 2.5, 1.5
"""Widths relative to the longer side (2.15 and 0.9; 3.2 and 3.6). A bow shortens the sides: narrower than
`MIN_TORN_WIDTH` is never too wide.
"""
MIN_TORN_WIDTH = 2.2
MAX_NECK = 4.5
"""From the middle of the shoulders to the nose (3.6; 4 to 6)."""
MAX_NOSE_TO_EYE, MAX_EYE_TO_EAR, MAX_FACE = 2.5, 4.5, 5.0
"""`MAX_FACE`: from the nose to a face landmark (1.8, 3.7 and 4.6; 5 to 8)."""
MAX_WRIST_TO_HAND, MAX_HAND, MAX_FOOT = 1.0, 2.2, 1.8
"""From the body's wrist to the hand's, from there to its points, and from the ankle to points of the foot (0.5, 1.6 and
1.4; 5 to 8).
"""
MAX_TO_CLIP = 1.5
"""Arms, legs and head: to the 90th percentile of the clip (1.1 with true keypoints)."""
FULL_LIMB = 1.3
"""Full length of the longest limbs: a shorter one is never too long for the clip, which may show it foreshortened."""
MAX_WIDTH_TO_CLIP, MAX_WIDTH_NEAR_TORN, MIN_WIDTH_STEP = 1.3, 1.05, 0.2
"""Shoulders or hips: to the 80th percentile of the clip; both for frames next to one that is too wide; and the
change from one frame to the next with which such frames begin or end. People stay below 1.1 in three videos; in a
cross-fade to another person they reach 1.34 to 1.46 within two frames. 10 of the 3600 true frames, of turns, exceed the
bounds.
"""
FRONTAL_WIDTHS = (0.6, 0.35)
"""Shoulders and hips of a person who faces the camera, relative to the sides: the clip may show it from the side."""
MIN_CLIP_FRAMES = 12
"""Fewer frames have no typical length."""
MIN_UNIT_LIMBS = 4
"""Minimum number of trunk and limb lengths that define the unit."""
UNIT_WINDOW_SECONDS = 1.0
"""The unit is a median over this time: it follows a character that comes nearer, not one torn frame."""
SIDE_PER_UNIT = 2.2
"""Largest length of a person's side (2.27 for human puppets). Limbs that point at the camera make the unit small."""

_SIDES = ("left", "right")
_HANDS = {"left": LEFT_HAND, "right": RIGHT_HAND}
_FOOT = {"left": slice(FEET.start, FEET.start + 3), "right": slice(FEET.start + 3, FEET.stop)}


def _points(*names: str) -> tuple[int, ...]:
    return tuple(INDEX[name] for name in names)


def _indices(part: slice) -> tuple[int, ...]:
    return tuple(range(part.start, part.stop))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """A limb, its largest length, and the points that are lost where it is longer."""

    ends: tuple[int, int]
    maximum: float
    loses: tuple[int, ...]


def _parts(side: str) -> tuple[_Part, ...]:
    hand, foot = _indices(_HANDS[side]), _indices(_FOOT[side])
    elbow, wrist, knee, ankle, eye, ear = _points(
        *(f"{side}_{name}" for name in ("elbow", "wrist", "knee", "ankle", "eye", "ear"))
    )
    return (
        _Part(ends=LIMBS[f"{side}_upper_arm"], maximum=MAX_LIMB, loses=(elbow, wrist, *hand)),
        _Part(ends=LIMBS[f"{side}_forearm"], maximum=MAX_LIMB, loses=(wrist, *hand)),
        _Part(ends=LIMBS[f"{side}_thigh"], maximum=MAX_LIMB, loses=(knee, ankle, *foot)),
        _Part(ends=LIMBS[f"{side}_shin"], maximum=MAX_LIMB, loses=(ankle, *foot)),
        _Part(ends=(INDEX["nose"], eye), maximum=MAX_NOSE_TO_EYE, loses=(eye, ear)),
        _Part(ends=(eye, ear), maximum=MAX_EYE_TO_EAR, loses=(ear,)),
        *(_Part(ends=(ankle, point), maximum=MAX_FOOT, loses=(point,)) for point in foot),
        _Part(ends=(wrist, hand[0]), maximum=MAX_WRIST_TO_HAND, loses=hand),
        *(_Part(ends=(hand[0], point), maximum=MAX_HAND, loses=hand) for point in hand[1:]),
    )


_BOTH = tuple(zip(*(_parts(side) for side in _SIDES), strict=True))
"""Pairs of a part of the left and of the right side."""
_PARTS = (
    *(part for pair in _BOTH for part in pair),
    *(_Part(ends=(INDEX["nose"], point), maximum=MAX_FACE, loses=(point,)) for point in _indices(FACE)),
)
_ENDS = np.array([part.ends for part in _PARTS])
_MAXIMA = np.array([part.maximum for part in _PARTS])
_LOSES = np.zeros((len(_PARTS), NUM_KEYPOINTS), bool)
for _row, _part in zip(_LOSES, _PARTS, strict=True):
    _row[list(_part.loses)] = True
_NUM_OF_CLIP = 12
"""The first parts, in pairs, are compared with the clip: arms, legs, eyes and ears."""
_ARMS_AND_LEGS = (slice(0, 4, 2), slice(1, 4, 2), slice(4, 8, 2), slice(5, 8, 2))
"""Parts of each arm and leg."""

_SHOULDERS, _HIPS = LIMBS["shoulders"], LIMBS["hips"]
_TRUNK = np.array([_SHOULDERS, _HIPS, LIMBS["left_side"], LIMBS["right_side"]])
_UNIT_LIMBS = np.concatenate([_TRUNK, _ENDS[:8]])


@dataclass(frozen=True, kw_only=True, slots=True)
class LongLimbs:
    """Points and frames with a limb that is too long.

    `points`: bool (T, 133), points at the far end of one. `trunks`: bool (T,), the trunk or the neck is one.
    `num_limbs`: int (T,), number of arms and legs with one beyond `MAX_MISPLACED`.
    """

    points: Bools
    trunks: Bools
    num_limbs: NDArray[np.int64]


def skeleton_unit_px(keypoints: NDArray[np.float32], frame_seconds: Floats) -> Floats:
    """Unit of lengths (T,) in pixels, NaN where no frame of the clip has `MIN_UNIT_LIMBS` limbs.

    `keypoints`: (T, 133, 3).
    """
    lengths = _lengths(keypoints, _UNIT_LIMBS)
    measured = np.isfinite(lengths).sum(axis=1) >= MIN_UNIT_LIMBS
    if not measured.any():
        return np.full(len(keypoints), np.nan)
    unit = np.full(len(keypoints), np.nan)
    unit[measured] = np.nanmedian(lengths[measured], axis=1)
    typical = float(np.median(unit[measured]))
    # Where a character moves away, bounds stay those of the clip: its few wrong limbs are then within them.
    unit = np.maximum(_moving_median(np.where(measured, unit, typical), frame_seconds), typical)
    sides = _lengths(keypoints, _TRUNK[2:])
    shorter = np.where(sides <= MAX_SIDE * unit[:, None], sides, np.nan)
    shorter_side = np.fmin(shorter[:, 0], shorter[:, 1])
    floored: Floats = np.fmax(unit, shorter_side / SIDE_PER_UNIT)
    return floored


def long_limbs(keypoints: NDArray[np.float32], unit_px: Floats) -> LongLimbs:
    """Limbs that are too long, in keypoints (T, 133, 3) whose unit is `unit_px` (T,)."""
    relative = _lengths(keypoints, _ENDS) / unit_px[:, None]
    is_long = relative > _MAXIMA
    is_long[:, :_NUM_OF_CLIP] |= _long_for_clip(keypoints, unit_px)
    trunks = _torn_trunks(keypoints, unit_px) | _wide_for_clip(keypoints, unit_px)
    points: Bools = is_long @ _LOSES
    is_torn = is_long & (relative > MAX_MISPLACED)
    num_limbs = sum(is_torn[:, limb].any(axis=1).astype(np.int64) for limb in _ARMS_AND_LEGS)
    return LongLimbs(points=points, trunks=trunks, num_limbs=np.asarray(num_limbs))


def _torn_trunks(keypoints: NDArray[np.float32], unit_px: Floats) -> Bools:
    """Trunks and necks (T,) of no character's proportions."""
    shoulders, hips, left, right = _lengths(keypoints, _TRUNK).T / unit_px
    longer, shorter = np.fmax(left, right), np.fmin(left, right)
    neck = np.linalg.norm(_xy(keypoints, [INDEX["nose"]])[:, 0] - _xy(keypoints, list(_SHOULDERS)).mean(axis=1), axis=1)
    torn: Bools = (
        (longer > MAX_SIDE)
        | ((longer > MAX_SIDES_RATIO * shorter) & (longer > MIN_TORN_WIDTH))
        | (shoulders > np.maximum(MAX_SHOULDERS_TO_SIDE * longer, MIN_TORN_WIDTH))
        | (hips > np.maximum(MAX_HIPS_TO_SIDE * longer, MIN_TORN_WIDTH))
        | (neck / unit_px > MAX_NECK)
    )
    return torn


def _long_for_clip(keypoints: NDArray[np.float32], unit_px: Floats) -> Bools:
    """Limbs (T, 12) much longer than usual in the clip, both in pixels and relative to the unit."""
    lengths = _lengths(keypoints, _ENDS[:_NUM_OF_CLIP])
    is_long = np.ones(lengths.shape, bool)
    for measured, shortest in ((lengths, 0.0), (lengths / unit_px[:, None], FULL_LIMB)):
        usual = _usual(measured, 90.0).reshape(-1, 2)
        of_both_sides = np.repeat(np.fmax(usual[:, 0], usual[:, 1]), 2)
        is_long &= measured > np.maximum(MAX_TO_CLIP * of_both_sides, shortest)
    return is_long


def _wide_for_clip(keypoints: NDArray[np.float32], unit_px: Floats) -> Bools:
    """Frames (T,) whose shoulders and hips are suddenly wider than usual in the clip, and those beside them."""
    lengths = _lengths(keypoints, _TRUNK)
    excess = np.full((len(lengths), 2), np.inf)
    for measured in (lengths, lengths / unit_px[:, None]):
        usual = _usual(measured, 80.0)
        frontal = np.fmax(usual[2], usual[3]) * np.array(FRONTAL_WIDTHS)
        excess = np.minimum(excess, measured[:, :2] / np.fmax(usual[:2], frontal))
    widest, narrower = np.fmax(excess[:, 0], excess[:, 1]), np.fmin(excess[:, 0], excess[:, 1])
    # Across two persons, shoulders and hips are too wide; hips alone are a misplaced hip.
    wide = narrower > MAX_WIDTH_NEAR_TORN
    steps = np.abs(np.diff(excess, axis=0, prepend=excess[:1], append=excess[-1:]))
    sudden = np.fmax(steps[:, 0], steps[:, 1]) >= MIN_WIDTH_STEP
    edges = np.diff(np.concatenate([[False], wide, [False]]).astype(np.int8))
    torn = np.zeros(len(wide), bool)
    for start, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        torn[start:stop] = widest[start:stop].max() > MAX_WIDTH_TO_CLIP and (sudden[start] or sudden[stop])
    return torn


def _usual(measured: Floats, percentile: float) -> Floats:
    """Percentile over the frames of each column of (T, N), NaN for one with fewer than `MIN_CLIP_FRAMES` values."""
    usual = np.full(measured.shape[1], np.nan)
    enough = np.isfinite(measured).sum(axis=0) >= MIN_CLIP_FRAMES
    if enough.any():
        usual[enough] = np.nanpercentile(measured[:, enough], percentile, axis=0)
    return usual


def _lengths(keypoints: NDArray[np.float32], ends: NDArray[np.int64]) -> Floats:
    """Lengths (T, N) in pixels between pairs of points, NaN where one is not confident."""
    lengths: Floats = np.linalg.norm(_xy(keypoints, ends[:, 0]) - _xy(keypoints, ends[:, 1]), axis=2)
    return lengths


def _xy(keypoints: NDArray[np.float32], indices: NDArray[np.int64] | list[int]) -> Floats:
    """Coordinates (T, N, 2), NaN where a point is not confident."""
    points = keypoints[:, indices].astype(np.float64)
    return np.where(points[..., 2:] >= CONFIDENT_SCORE, points[..., :2], np.nan)


def _moving_median(values: Floats, frame_seconds: Floats) -> Floats:
    """Medians (T,) over `UNIT_WINDOW_SECONDS` around each value."""
    if len(values) < 2:
        return values
    spacing_seconds = max(float(np.median(np.diff(frame_seconds))), 1e-3)
    half = min(round(UNIT_WINDOW_SECONDS / 2 / spacing_seconds), len(values) - 1)
    padded = np.pad(values, half, mode="reflect")
    median: Floats = np.median(sliding_window_view(padded, 2 * half + 1), axis=1)
    return median
