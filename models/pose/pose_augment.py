"""The Explicit Pose Indicator (Animate-X, arXiv 2410.10306, §3.2): skeletons that no longer fit their character.

A network that only ever sees a driving skeleton of the character's own proportions learns to draw people as the
skeleton says. In training the skeleton is therefore moved onto another one's proportions, its limbs are made longer or
shorter, and parts of it come and go, while the video to reconstruct stays. The paper gives no magnitudes: they are
ours.

Keypoints are (T, 133, 3) or (133, 3) float32 in pixels; points below the least score are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.proportions import MID_HIP, NECK, Points, Seen, with_centres, with_lengths
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
"""What a rescaling changes -> the groups of limbs (`models.pose.proportions.GROUPS`) that it multiplies."""


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
"""A part that comes or goes -> its points, and the points that it can hang from, the nearest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplicitIndicatorConfig:
    """How often and how far skeletons are changed.

    Args:
        probability: λ, of changing a skeleton at all; 0 is training without this indicator.
        pool_size: anchors, at most: one skeleton each of as many clips, evenly spread over the corpus.
        realign: take an anchor's proportions.
        rescale_probability: of each of the operations below; 0 rescales nothing.
        body, legs, arms, neck, shoulders, face: least and largest factor, drawn evenly in its logarithm; None leaves
            these limbs alone.
        drop_probability, add_probability: of each part to go, and to be taken from the anchor where it is missing.
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
        """The ranges of the operations that there are."""
        found = {name: getattr(self, name) for name in OPERATIONS}
        return {name: factors for name, factors in found.items() if factors is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What is done to one sample's skeletons, the same in all frames.

    `anchor`: number of a skeleton in the pool, for `realign` and for parts to add; None for a pool without any.
    `factors`: operation -> factor. `added`, `dropped`: parts; one that is both goes.
    """

    anchor: int | None = None
    realign: bool = False
    factors: Mapping[str, float] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


UNCHANGED = Change()


def draw_change(rng: Rng, config: ExplicitIndicatorConfig, *, pool_size: int) -> Change:
    """A change at random; `UNCHANGED` with probability 1 − λ."""
    # All is drawn whether it is asked for or not, so that what is switched off moves nothing else.
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
    return Change(
        anchor=anchor if pool_size else None,
        realign=config.realign and pool_size > 0,
        factors=factors,
        dropped=tuple(part for part, drop in zip(PARTS, drops, strict=True) if drop < config.drop_probability),
        added=tuple(part for part, add in zip(PARTS, adds, strict=True) if pool_size and add < config.add_probability),
    )


def changed(
    keypoints: Keypoints, change: Change, anchor: Keypoints | None, *, min_score: float = CONFIDENT_SCORE
) -> Keypoints:
    """The skeletons (T, 133, 3) of a clip after a change.

    `anchor`: the change's, (133, 3), in pixels of frames of the same height. What it has not in common with the clip,
    it does not change.
    """
    if change == UNCHANGED:
        return keypoints
    scale, ratios = 1.0, {}
    if change.realign and anchor is not None:
        found = limb_ratios(keypoints, anchor, min_score=min_score)
        if found is not None:
            scale, ratios = found[0], dict(found[1])
    if change.added and anchor is not None:
        # At the size that they will have, once everything is rescaled as the clip's own parts are.
        keypoints = with_parts(keypoints, anchor, change.added, scale=1 / scale, min_score=min_score)
    for operation, factor in change.factors.items():
        for group in OPERATIONS[operation]:
            ratios[group] = ratios.get(group, scale) * factor
    return without_parts(rescaled(keypoints, ratios, scale=scale, min_score=min_score), change.dropped)


def realigned(keypoints: Keypoints, anchor: Keypoints, *, min_score: float = CONFIDENT_SCORE) -> Keypoints:
    """The skeletons with the proportions and the size of an anchor (133, 3), each where it stood."""
    return changed(keypoints, Change(anchor=0, realign=True), anchor, min_score=min_score)


def rescaled(
    keypoints: Keypoints, ratios: Mapping[str, float], *, scale: float = 1.0, min_score: float = CONFIDENT_SCORE
) -> Keypoints:
    """The skeletons with limbs of a group times its ratio, or `scale` where it has none; directions stay, and so does
    the neck, or else the middle of the hips or of what there is.
    """
    if scale == 1 and not ratios:
        return keypoints
    points, seen = with_centres(keypoints, min_score)
    roots = _roots(points, seen)
    placed = roots + scale * (points - roots)
    moved = with_lengths(points, seen, ratios, placed, scale)[:, :NUM_KEYPOINTS]
    made = keypoints.copy()
    made[..., :2] = np.where(seen[:, :NUM_KEYPOINTS, None], moved, keypoints[..., :2])
    return made


def without_parts(keypoints: Keypoints, parts: Sequence[str]) -> Keypoints:
    """The skeletons with the score of these parts at 0."""
    if not parts:
        return keypoints
    made = keypoints.copy()
    for part in parts:
        made[..., list(PARTS[part][0]), 2] = 0.0
    return made


def with_parts(
    keypoints: Keypoints,
    anchor: Keypoints,
    parts: Sequence[str],
    *,
    scale: float = 1.0,
    min_score: float = CONFIDENT_SCORE,
) -> Keypoints:
    """The skeletons with these parts of an anchor (133, 3) in frames that have nothing of them: as they are there,
    times `scale`, hung from the nearest point that both have.
    """
    points, seen = with_centres(keypoints, min_score)
    target, target_seen = with_centres(anchor, min_score)
    made = keypoints.copy()
    for part in parts:
        nodes, roots = PARTS[part]
        borrowed = np.array([node for node in nodes if target_seen[node]], np.int64)
        lacking: Seen = ~np.asarray(seen[:, nodes].any(axis=1))
        for root in roots:
            frames = np.flatnonzero(lacking & seen[:, root])
            if len(borrowed) and target_seen[root] and len(frames):
                hung = points[frames, root][:, None] + scale * (target[borrowed] - target[root])
                made[frames[:, None], borrowed, :2] = hung
                made[frames[:, None], borrowed, 2] = anchor[borrowed, 2]
                lacking[frames] = False
    return made


def _roots(points: Points, seen: Seen) -> Points:
    """(T, 1, 2): the neck of each frame, or the middle of the hips, or of what is seen."""
    counts = np.maximum(seen[:, :NUM_KEYPOINTS].sum(axis=1), 1)[:, None]
    roots = points[:, :NUM_KEYPOINTS].sum(axis=1) / counts  # the missing are 0
    for centre in (MID_HIP, NECK):
        roots = np.where(seen[:, centre, None], points[:, centre], roots)
    found: Points = roots[:, None]
    return found
