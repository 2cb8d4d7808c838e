"""A driving skeleton on the proportions of a reference character, limb by limb.

Every limb keeps its direction and takes the reference's length; the whole moves from where the reference stands. Where
that cannot be told (a reference with no skeleton, or with little of one), coarser rules follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.proportions import (
    BODY_GROUPS,
    GROUPS,
    MAX_DISPROPORTION,
    MID_HIP,
    NECK,
    Points,
    Seen,
    length_ratios,
    most_alike_frame,
    summed_lengths,
    with_centres,
    with_lengths,
)
from models.pose.skeleton import INDEX, NUM_KEYPOINTS

Rule = Literal["limbs", "similarity", "box", "frame", "none"]
RULES: tuple[Rule, ...] = get_args(Rule)
Box = tuple[float, float, float, float]

ROOTS = (NECK, MID_HIP, INDEX["nose"])
"""What a skeleton is held at under the rule "limbs": the first of these that both have."""


MIN_LIMB_GROUPS = 3
"""Groups of body limbs that two skeletons must have in common for their proportions to be compared."""

_TRUNK = {"trunk": ((MID_HIP, INDEX["nose"]),)}
"""What measures torso and neck together where the reference has no shoulders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retargeted:
    """A driving skeleton in the pixels of the reference image.

    `keypoints`: (T, 133, 3) float32; what the driving video misses has score 0 and coordinates 0.
    `rule`: the rule used, which may be a coarser one than asked for.
    `scale`: reference pixels per driving pixel, of the character as a whole and of its movement over the image.
    `ratios`: the same for each group of limbs that both have, under the rule "limbs"; otherwise empty.
    `anchor_frame`: the driving frame that was compared with the reference; None where none was.
    """

    keypoints: NDArray[np.float32]
    rule: Rule
    scale: float
    ratios: Mapping[str, float]
    anchor_frame: int | None


def retarget(
    driving: NDArray[np.float32],
    reference: NDArray[np.float32],
    *,
    driving_size_px: tuple[int, int],
    reference_size_px: tuple[int, int],
    rule: Rule = "limbs",
    reference_box: Box | None = None,
    min_score: float = CONFIDENT_SCORE,
) -> Retargeted:
    """Moves a driving skeleton (T, 133, 3) onto a reference (133, 3), by `rule` or the first after it that applies.

    - "limbs": limbs keep their directions; the lengths of a group (both upper arms, …) are multiplied by one ratio,
      reference over driving in the anchor frame: the driving frame whose limbs point most like the reference's, so that
      foreshortening is most alike. Of two limbs or more it is the median of theirs and the overall scale, so that an
      arm that was found wrongly does not lengthen both. A group that one of the two lacks takes the overall scale, the
      ratio of the summed lengths of the body limbs that both have, or of the head where there are none. A point whose
      parent is unseen hangs from the next ancestor seen, at the overall scale. The root of the anchor frame, the first
      of `ROOTS` that both have, comes to lie on the reference's, and moves at the overall scale; torso and neck of a
      reference without shoulders take one ratio, that of the way from hips to nose. Needs a root and a group of limbs
      in common.
    - "similarity": one scale and shift, which fit the box of the points that both have, in the frame with the most of
      them. Needs two points apart.
    - "box": the same, which fit the skeleton into `reference_box`, centred on its lower edge, in the frame with the
      most points. Needs the box.
    - "frame": one scale and shift, which fit the driving image into the reference image, centred.
    - "none": coordinates as they are.

    Args:
        driving: keypoints in driving pixels; below `min_score` missing.
        reference: keypoints in reference pixels; below `min_score` missing.
        driving_size_px: (height, width) of the driving image.
        reference_size_px: (height, width) of the reference image.
        rule: the rule to try first.
        reference_box: (x0, y0, x1, y1) around the reference character in pixels where known, e.g. of its mask.
        min_score: least score of a point that counts.

    Raises:
        ValueError: another shape; no frames; a point of at least `min_score` that is not finite; an empty box.
    """
    if driving.ndim != 3 or driving.shape[1:] != (NUM_KEYPOINTS, 3) or len(driving) == 0:
        raise ValueError(f"driving keypoints must be (T, {NUM_KEYPOINTS}, 3) with T >= 1, got {driving.shape}")
    if reference.shape != (NUM_KEYPOINTS, 3):
        raise ValueError(f"reference keypoints must be ({NUM_KEYPOINTS}, 3), got {reference.shape}")
    if reference_box is not None and not (reference_box[0] < reference_box[2] and reference_box[1] < reference_box[3]):
        raise ValueError(f"reference_box must be (x0, y0, x1, y1) with x0 < x1 and y0 < y1, got {reference_box}")
    points, seen = with_centres(driving, min_score)
    target, target_seen = with_centres(reference, min_score)

    fits: Mapping[Rule, Callable[[], _Placement | None]] = {
        "limbs": lambda: _by_limbs(points, seen, target, target_seen),
        "similarity": lambda: _by_common_points(points, seen, target, target_seen),
        "box": lambda: _into_box(points, seen, reference_box) if reference_box is not None else None,
        "frame": lambda: _frame_into_frame(driving_size_px, reference_size_px),
        "none": lambda: _Placement(scale=1.0, source=np.zeros(2), target=np.zeros(2)),
    }
    rules = tuple(fits)
    used, placement = next(
        (tried, found) for tried in rules[rules.index(rule) :] if (found := fits[tried]()) is not None
    )
    moved = placement.place(points)
    if used == "limbs":
        moved = with_lengths(points, seen, placement.ratios, moved, placement.scale, root=placement.root)
    seen = seen[:, :NUM_KEYPOINTS]
    keypoints = np.zeros(driving.shape, np.float32)
    keypoints[..., :2] = np.where(seen[..., None], moved[:, :NUM_KEYPOINTS], 0.0)
    keypoints[..., 2] = np.where(seen, driving[..., 2], 0.0)
    return Retargeted(
        keypoints=keypoints,
        rule=used,
        scale=placement.scale,
        ratios=MappingProxyType(placement.ratios),
        anchor_frame=placement.anchor_frame,
    )


def limb_ratios(
    driving: NDArray[np.float32], reference: NDArray[np.float32], *, min_score: float = CONFIDENT_SCORE
) -> tuple[float, Mapping[str, float]] | None:
    """The overall scale and the ratio of each group of limbs, as the rule "limbs" measures them; None where the two
    have no neck or fewer than `MIN_LIMB_GROUPS` groups of body limbs in common.

    `driving`: (T, 133, 3). `reference`: (133, 3).

    Raises:
        ValueError: a point of at least `min_score` that is not finite.
    """
    placement = _by_limbs(*with_centres(driving, min_score), *with_centres(reference, min_score))
    if placement is None or placement.root != NECK or len(BODY_GROUPS.keys() & placement.ratios) < MIN_LIMB_GROUPS:
        return None
    return placement.scale, MappingProxyType(placement.ratios)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Placement:
    """The similarity transform p -> target + scale · (p − source), and what it was measured on."""

    scale: float
    source: Points
    target: Points
    ratios: dict[str, float] = field(default_factory=dict)
    anchor_frame: int | None = None
    root: int = NECK

    def place(self, points: Points) -> Points:
        return self.target + self.scale * (points - self.source)


def _by_limbs(points: Points, seen: Seen, target: Points, target_seen: Seen) -> _Placement | None:
    root = next((point for point in ROOTS if target_seen[point] and seen[:, point].any()), None)
    if root is None:
        return None
    # Only frames with the root can be laid on the reference's.
    with_root = np.flatnonzero(seen[:, root])
    anchor = int(with_root[most_alike_frame(points[with_root], seen[with_root], target, target_seen)])
    lengths = summed_lengths(GROUPS, points[anchor], seen[anchor], target, target_seen)
    measured = [lengths[name] for name in BODY_GROUPS if name in lengths]
    if root == MID_HIP and (trunk := summed_lengths(_TRUNK, points[anchor], seen[anchor], target, target_seen)):
        lengths |= {"torso": trunk["trunk"], "neck": trunk["trunk"]}
        measured.append(trunk["trunk"])
    measured = measured or [*lengths.values()]
    if not measured:
        return None
    scale = sum(of_target for _, of_target in measured) / sum(of_driving for of_driving, _ in measured)
    ratios = {}
    for name, (of_driving, of_target) in lengths.items():
        each = length_ratios(GROUPS[name], points[anchor], seen[anchor], target, target_seen)
        ratio = np.median([*each, scale]) if len(each) > 1 else of_target / of_driving
        ratios[name] = float(np.clip(ratio, scale / MAX_DISPROPORTION, scale * MAX_DISPROPORTION))
    return _Placement(
        scale=scale, source=points[anchor, root], target=target[root], ratios=ratios, anchor_frame=anchor, root=root
    )


def _by_common_points(points: Points, seen: Seen, target: Points, target_seen: Seen) -> _Placement | None:
    common = (seen & target_seen)[:, :NUM_KEYPOINTS]
    anchor = int(np.argmax(common.sum(axis=1)))
    if common[anchor].sum() < 2:
        return None
    (low, high), (target_low, target_high) = (
        (xy[:NUM_KEYPOINTS][common[anchor]].min(axis=0), xy[:NUM_KEYPOINTS][common[anchor]].max(axis=0))
        for xy in (points[anchor], target)
    )
    diagonal, target_diagonal = np.linalg.norm(high - low), np.linalg.norm(target_high - target_low)
    if diagonal == 0 or target_diagonal == 0:
        return None
    return _Placement(
        scale=float(target_diagonal / diagonal),
        source=(low + high) / 2,
        target=(target_low + target_high) / 2,
        anchor_frame=anchor,
    )


def _into_box(points: Points, seen: Seen, box: Box) -> _Placement | None:
    anchor = int(np.argmax(seen[:, :NUM_KEYPOINTS].sum(axis=1)))
    drawn = points[anchor, :NUM_KEYPOINTS][seen[anchor, :NUM_KEYPOINTS]]
    if len(drawn) < 2 or not np.ptp(drawn, axis=0).any():
        return None
    (x0, y0), (x1, y1) = drawn.min(axis=0), drawn.max(axis=0)
    sides = ((box[2] - box[0], x1 - x0), (box[3] - box[1], y1 - y0))
    return _Placement(
        scale=float(min(of_box / of_driving for of_box, of_driving in sides if of_driving > 0)),
        source=np.array([(x0 + x1) / 2, y1]),
        target=np.array([(box[0] + box[2]) / 2, box[3]]),
        anchor_frame=anchor,
    )


def _frame_into_frame(driving_size_px: tuple[int, int], reference_size_px: tuple[int, int]) -> _Placement:
    # The middle of an image is half a pixel less than half its size: the first pixel's centre is 0.
    centre, target = ((np.array(size[::-1]) - 1) / 2 for size in (driving_size_px, reference_size_px))
    scale = min(reference_size_px[0] / driving_size_px[0], reference_size_px[1] / driving_size_px[1])
    return _Placement(scale=scale, source=centre, target=target)
