"""Explicit Pose Indicator (Animate-X, arXiv 2410.10306, §3.2): augmentation of driving skeletons in training.

A network trained only on driving skeletons with the character's own proportions copies the skeleton's proportions to
the output. In training, the skeleton is therefore realigned to the proportions of another skeleton, its limbs are
rescaled, and parts are dropped or added, while the target video stays the same. The paper gives no magnitudes; those
here are this project's.

Keypoints are (T, 133, 3) or (133, 3) float32 in pixels; points below the minimum score are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.proportions import MID_HIP, NECK, Points, Visibility, with_centres, with_lengths
from models.pose.retarget import limb_ratios
from models.pose.skeleton import FACE, INDEX, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

Keypoints = NDArray[np.float32]
Rng = np.random.Generator
Range = tuple[float, float]

OPERATIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "body": ("torso",),
        "legs": ("thighs", "shins"),
        "arms": ("upper_arms", "forearms"),
        "neck": ("neck",),
        "shoulders": ("shoulders",),
        "face": ("head",),
    }
)
"""Rescaling operation -> groups of limbs (`models.pose.proportions.GROUPS`) that it scales."""


def _side(side: str, *names: str) -> tuple[int, ...]:
    return tuple(INDEX[f"{side}_{name}"] for name in names)


_HANDS = {
    "left": tuple(range(LEFT_HAND.start, LEFT_HAND.stop)),
    "right": tuple(range(RIGHT_HAND.start, RIGHT_HAND.stop)),
}
_FOOT = ("big_toe", "small_toe", "heel")
PARTS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = MappingProxyType(
    {
        "head": (
            (*_side("left", "eye", "ear"), *_side("right", "eye", "ear"), *range(FACE.start, FACE.stop)),
            (INDEX["nose"], NECK),
        ),
        **{
            f"{side}_arm": ((*_side(side, "elbow", "wrist"), *_HANDS[side]), (INDEX[f"{side}_shoulder"], NECK))
            for side in _HANDS
        },
        **{f"{side}_hand": (_HANDS[side], (INDEX[f"{side}_wrist"],)) for side in _HANDS},
        **{
            f"{side}_leg": (_side(side, "knee", "ankle", *_FOOT), (INDEX[f"{side}_hip"], MID_HIP, NECK))
            for side in _HANDS
        },
        **{f"{side}_foot": (_side(side, *_FOOT), (INDEX[f"{side}_ankle"],)) for side in _HANDS},
    }
)
"""Part to drop or add -> its points, and the points that it can be attached to, nearest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplicitIndicatorConfig:
    """Probabilities and ranges of the augmentation.

    Args:
        probability: λ, probability of changing a skeleton; 0 disables the augmentation.
        pool_size: maximum number of anchor skeletons, one per clip, evenly spread over the corpus.
        realign: apply the proportions of an anchor.
        rescale_probability: probability of each rescaling operation below.
        body, legs, arms, neck, shoulders, face: minimum and maximum factor, log-uniform; None disables the operation.
        drop_probability: probability of dropping each part.
        add_probability: probability of adding each part from the anchor in frames where it is missing.
    """

    probability: float = 0.98
    pool_size: int = 500
    realign: bool = True
    rescale_probability: float = 0.5
    body: Range | None = (0.6, 1.5)
    legs: Range | None = (0.4, 1.5)
    arms: Range | None = (0.4, 1.5)
    neck: Range | None = (0.5, 1.6)
    shoulders: Range | None = (0.6, 1.6)
    face: Range | None = (0.7, 2.5)
    drop_probability: float = 0.05
    add_probability: float = 0.5

    def __post_init__(self) -> None:
        for name in ("probability", "rescale_probability", "drop_probability", "add_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)}")
        if self.pool_size < 1:
            raise ValueError(f"pool_size must be at least 1, got {self.pool_size}")
        for name, (low, high) in self.ranges.items():
            if not 0 < low <= high:
                raise ValueError(f"the range of '{name}' must be positive and rising, got {low} to {high}")

    @property
    def ranges(self) -> Mapping[str, Range]:
        """Factor ranges of the enabled operations."""
        ranges = {name: getattr(self, name) for name in OPERATIONS}
        return {name: factors for name, factors in ranges.items() if factors is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseChange:
    """Augmentation of one sample's skeletons, the same in all frames.

    `anchor`: index in the pool, for `realign` and added parts; None for an empty pool.
    `factors`: operation -> factor. `added`, `dropped`: parts; a part in both is dropped.
    """

    anchor: int | None = None
    realign: bool = False
    factors: Mapping[str, float] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


UNCHANGED = PoseChange()


def sample_change(rng: Rng, config: ExplicitIndicatorConfig, *, pool_size: int) -> PoseChange:
    """Draw a random change; `UNCHANGED` with probability 1 − λ."""
    # All values are always drawn, so that disabling an operation does not change the random stream of the others.
    chance, anchor = rng.random(), int(rng.integers(max(pool_size, 1)))
    rescales, places = rng.random((2, len(OPERATIONS)))
    drops, adds = rng.random((2, len(PARTS)))
    if chance >= config.probability:
        return UNCHANGED
    factors = {}
    for name, rescale, place in zip(OPERATIONS, rescales, places, strict=True):
        if name in config.ranges and rescale < config.rescale_probability:
            low, high = config.ranges[name]
            factors[name] = float(low * (high / low) ** place)
    return PoseChange(
        anchor=anchor if pool_size else None,
        realign=config.realign and pool_size > 0,
        factors=factors,
        dropped=tuple(part for part, drop in zip(PARTS, drops, strict=True) if drop < config.drop_probability),
        added=tuple(part for part, add in zip(PARTS, adds, strict=True) if pool_size and add < config.add_probability),
    )


def apply_change(
    keypoints: Keypoints, change: PoseChange, anchor: Keypoints | None, *, min_score: float = CONFIDENT_SCORE
) -> Keypoints:
    """Apply a change to the skeletons (T, 133, 3) of a clip.

    `anchor`: skeleton (133, 3) of the change, in pixels of frames of the same height. Limbs that it does not share with
    the clip keep their proportions.
    """
    if change == UNCHANGED:
        return keypoints
    scale, ratios = 1.0, {}
    if change.realign and anchor is not None:
        measured = limb_ratios(keypoints, anchor, min_score=min_score)
        if measured is not None:
            scale, ratios = measured[0], dict(measured[1])
    if change.added and anchor is not None:
        # The inverse scale gives added parts their own size after the rescaling below.
        keypoints = with_parts(keypoints, anchor, change.added, scale=1 / scale, min_score=min_score)
    for operation, factor in change.factors.items():
        for group in OPERATIONS[operation]:
            ratios[group] = ratios.get(group, scale) * factor
    return without_parts(rescaled(keypoints, ratios, scale=scale, min_score=min_score), change.dropped)


def realigned(keypoints: Keypoints, anchor: Keypoints, *, min_score: float = CONFIDENT_SCORE) -> Keypoints:
    """Skeletons with the proportions and the size of an anchor (133, 3), at their own positions."""
    return apply_change(keypoints, PoseChange(anchor=0, realign=True), anchor, min_score=min_score)


def rescaled(
    keypoints: Keypoints, ratios: Mapping[str, float], *, scale: float = 1.0, min_score: float = CONFIDENT_SCORE
) -> Keypoints:
    """Skeletons with the limbs of each group scaled by its ratio, or by `scale` if it has none.

    Limb directions and the root stay: the neck, else the middle of the hips, else the mean of the visible points.
    """
    if scale == 1 and not ratios:
        return keypoints
    points, visible = with_centres(keypoints, min_score)
    roots = _roots(points, visible)
    placed = roots + scale * (points - roots)
    moved = with_lengths(points, visible, ratios, placed, scale)[:, :NUM_KEYPOINTS]
    result = keypoints.copy()
    result[..., :2] = np.where(visible[:, :NUM_KEYPOINTS, None], moved, keypoints[..., :2])
    return result


def without_parts(keypoints: Keypoints, parts: Sequence[str]) -> Keypoints:
    """Skeletons with the scores of the given parts set to 0."""
    if not parts:
        return keypoints
    result = keypoints.copy()
    for part in parts:
        result[..., list(PARTS[part][0]), 2] = 0.0
    return result


def with_parts(
    keypoints: Keypoints,
    anchor: Keypoints,
    parts: Sequence[str],
    *,
    scale: float = 1.0,
    min_score: float = CONFIDENT_SCORE,
) -> Keypoints:
    """Skeletons with the given parts of an anchor (133, 3) added in frames where the whole part is missing.

    An added part is scaled by `scale` and attached to the nearest point visible in both skeletons.
    """
    points, visible = with_centres(keypoints, min_score)
    target, target_visible = with_centres(anchor, min_score)
    result = keypoints.copy()
    for part in parts:
        nodes, roots = PARTS[part]
        added = np.array([node for node in nodes if target_visible[node]], np.int64)
        missing: Visibility = ~np.asarray(visible[:, nodes].any(axis=1))
        for root in roots:
            frames = np.flatnonzero(missing & visible[:, root])
            if len(added) and target_visible[root] and len(frames):
                attached = points[frames, root][:, None] + scale * (target[added] - target[root])
                result[frames[:, None], added, :2] = attached
                result[frames[:, None], added, 2] = anchor[added, 2]
                missing[frames] = False
    return result


def _roots(points: Points, visible: Visibility) -> Points:
    """(T, 1, 2) neck of each frame, else the middle of the hips, else the mean of the visible points."""
    counts = np.maximum(visible[:, :NUM_KEYPOINTS].sum(axis=1), 1)[:, None]
    roots = points[:, :NUM_KEYPOINTS].sum(axis=1) / counts  # missing points are 0
    for centre in (MID_HIP, NECK):
        roots = np.where(visible[:, centre, None], points[:, centre], roots)
    expanded: Points = roots[:, None]
    return expanded
