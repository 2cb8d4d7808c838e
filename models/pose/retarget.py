"""Retargeting of a driving skeleton to the proportions of a reference character.

Every limb keeps its direction and takes the reference's length; the motion starts at the reference's position. If the
reference skeleton is missing or incomplete, coarser rules apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, cast, get_args

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
    Visibility,
    length_ratios,
    most_alike_frame,
    summed_lengths,
    with_centres,
    with_lengths,
)
from models.pose.published_alignment import PublishedRule, align_published
from models.pose.skeleton import INDEX, NUM_KEYPOINTS

Rule = Literal["limbs", "similarity", "box", "frame", "none", "musepose", "unianimate", "mimicmotion"]
RULES: tuple[Rule, ...] = get_args(Rule)
Box = tuple[float, float, float, float]

ROOTS = (NECK, MID_HIP, INDEX["nose"])
"""Root candidates of the rule "limbs": the first that both skeletons have is the root."""


MIN_LIMB_GROUPS = 3
"""Minimum number of common body limb groups to compare the proportions of two skeletons."""

_TRUNK = {"trunk": ((MID_HIP, INDEX["nose"]),)}
"""Joint measure of torso and neck for a reference without shoulders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retargeted:
    """Driving skeleton in pixels of the reference image.

    `keypoints`: (T, 133, 3) float32; points missing in the driving video have score 0 and coordinates 0.
    `rule`: the rule applied, which may be coarser than the requested one.
    `scale`: overall scale in reference pixels per driving pixel, also applied to the motion of the root; 1 under the
      rules of public implementations, which scale limb by limb.
    `ratios`: scale of each group of limbs that both have, under the rule "limbs"; otherwise empty.
    `anchor_frame`: index of the driving frame compared with the reference; None if none was compared.
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
    """Retarget a driving skeleton (T, 133, 3) to a reference (133, 3) by `rule` or the next rule that applies.

    - "limbs": limbs keep their directions, and the lengths of a group (both upper arms, …) are scaled by one ratio,
      reference over driving, measured in the anchor frame: the driving frame whose limb directions are most similar to
      the reference's, and hence its foreshortening. For groups of two or more limbs, the ratio is the median of the
      limbs' ratios and the overall scale, which makes it robust to a misdetected limb. The overall scale is the ratio
      of the summed lengths of the common body limbs, or of the head if there are none; it also applies to groups
      missing in either skeleton. Points with an invisible parent are attached to the next visible ancestor with the
      overall scale. The root, the first of `ROOTS` that both have, is placed on the reference's in the anchor frame,
      and its motion is scaled by the overall scale. For a reference without shoulders, torso and neck share the ratio
      of the distance from hips to nose. Requires a common root and a common group of limbs.
    - "similarity": one scale and shift that fit the box of the common points, in the frame with the most of them.
      Requires two distinct points.
    - "box": one scale and shift that fit the skeleton into `reference_box`, centred on its lower edge, in the frame
      with the most points. Requires the box.
    - "frame": one scale and shift that fit the driving image into the reference image, centred.
    - "none": unchanged coordinates.
    - "musepose", "unianimate", "mimicmotion": as the public code of that name (`models.pose.published_alignment`).
      Requires neck, shoulders and hips in the reference and in the first driving frame; otherwise "limbs" is next.

    Args:
        driving: keypoints in driving pixels; missing if below `min_score`.
        reference: keypoints in reference pixels; missing if below `min_score`.
        driving_size_px: (height, width) of the driving image.
        reference_size_px: (height, width) of the reference image.
        rule: first rule to try.
        reference_box: (x0, y0, x1, y1) of the reference character in pixels if available, e.g. of its mask.
        min_score: minimum score of a visible point.

    Raises:
        ValueError: the keypoints have another shape, there are no frames, a point of at least `min_score` is not
            finite, or the box is empty.
    """
    if driving.ndim != 3 or driving.shape[1:] != (NUM_KEYPOINTS, 3) or len(driving) == 0:
        raise ValueError(f"driving keypoints must be (T, {NUM_KEYPOINTS}, 3) with T >= 1, got {driving.shape}")
    if reference.shape != (NUM_KEYPOINTS, 3):
        raise ValueError(f"reference keypoints must be ({NUM_KEYPOINTS}, 3), got {reference.shape}")
    if reference_box is not None and not (reference_box[0] < reference_box[2] and reference_box[1] < reference_box[3]):
        raise ValueError(f"reference_box must be (x0, y0, x1, y1) with x0 < x1 and y0 < y1, got {reference_box}")
    points, visible = with_centres(driving, min_score)
    target, target_visible = with_centres(reference, min_score)
    if rule in get_args(PublishedRule):
        sizes = {"driving_size_px": driving_size_px, "reference_size_px": reference_size_px}
        aligned = align_published(cast("PublishedRule", rule), driving, reference, **sizes)
        if aligned is not None:
            aligned[aligned[..., 2] < min_score] = 0.0
            return Retargeted(keypoints=aligned, rule=rule, scale=1.0, ratios=MappingProxyType({}), anchor_frame=0)
        rule = "limbs"

    fits: Mapping[Rule, Callable[[], _Placement | None]] = {
        "limbs": lambda: _by_limbs(points, visible, target, target_visible),
        "similarity": lambda: _by_common_points(points, visible, target, target_visible),
        "box": lambda: _into_box(points, visible, reference_box) if reference_box is not None else None,
        "frame": lambda: _frame_into_frame(driving_size_px, reference_size_px),
        "none": lambda: _Placement(scale=1.0, source=np.zeros(2), target=np.zeros(2)),
    }
    rules = tuple(fits)
    used, placement = next((name, fit) for name in rules[rules.index(rule) :] if (fit := fits[name]()) is not None)
    moved = placement.place(points)
    if used == "limbs":
        moved = with_lengths(points, visible, placement.ratios, moved, placement.scale, root=placement.root)
    visible = visible[:, :NUM_KEYPOINTS]
    keypoints = np.zeros(driving.shape, np.float32)
    keypoints[..., :2] = np.where(visible[..., None], moved[:, :NUM_KEYPOINTS], 0.0)
    keypoints[..., 2] = np.where(visible, driving[..., 2], 0.0)
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
    """Overall scale and ratio of each group of limbs, as measured by the rule "limbs".

    None if the skeletons have no common neck or fewer than `MIN_LIMB_GROUPS` common groups of body limbs.

    `driving`: (T, 133, 3). `reference`: (133, 3).

    Raises:
        ValueError: a point of at least `min_score` is not finite.
    """
    placement = _by_limbs(*with_centres(driving, min_score), *with_centres(reference, min_score))
    if placement is None or placement.root != NECK or len(BODY_GROUPS.keys() & placement.ratios) < MIN_LIMB_GROUPS:
        return None
    return placement.scale, MappingProxyType(placement.ratios)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Placement:
    """Similarity transform p -> target + scale · (p − source), with the measured ratios, anchor frame and root."""

    scale: float
    source: Points
    target: Points
    ratios: dict[str, float] = field(default_factory=dict)
    anchor_frame: int | None = None
    root: int = NECK

    def place(self, points: Points) -> Points:
        return self.target + self.scale * (points - self.source)


def _by_limbs(points: Points, visible: Visibility, target: Points, target_visible: Visibility) -> _Placement | None:
    root = next((point for point in ROOTS if target_visible[point] and visible[:, point].any()), None)
    if root is None:
        return None
    # Only frames with the root can be aligned to the reference's root.
    with_root = np.flatnonzero(visible[:, root])
    anchor = int(with_root[most_alike_frame(points[with_root], visible[with_root], target, target_visible)])
    lengths = summed_lengths(GROUPS, points[anchor], visible[anchor], target, target_visible)
    measured = [lengths[name] for name in BODY_GROUPS if name in lengths]
    if root == MID_HIP and (trunk := summed_lengths(_TRUNK, points[anchor], visible[anchor], target, target_visible)):
        lengths |= {"torso": trunk["trunk"], "neck": trunk["trunk"]}
        measured.append(trunk["trunk"])
    measured = measured or [*lengths.values()]
    if not measured:
        return None
    scale = sum(of_target for _, of_target in measured) / sum(of_driving for of_driving, _ in measured)
    ratios = {}
    for name, (of_driving, of_target) in lengths.items():
        each = length_ratios(GROUPS[name], points[anchor], visible[anchor], target, target_visible)
        ratio = np.median([*each, scale]) if len(each) > 1 else of_target / of_driving
        ratios[name] = float(np.clip(ratio, scale / MAX_DISPROPORTION, scale * MAX_DISPROPORTION))
    return _Placement(
        scale=scale, source=points[anchor, root], target=target[root], ratios=ratios, anchor_frame=anchor, root=root
    )


def _by_common_points(
    points: Points, visible: Visibility, target: Points, target_visible: Visibility
) -> _Placement | None:
    common = (visible & target_visible)[:, :NUM_KEYPOINTS]
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


def _into_box(points: Points, visible: Visibility, box: Box) -> _Placement | None:
    anchor = int(np.argmax(visible[:, :NUM_KEYPOINTS].sum(axis=1)))
    drawn = points[anchor, :NUM_KEYPOINTS][visible[anchor, :NUM_KEYPOINTS]]
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
    # Pixel centres are integers, so the image centre is (size - 1) / 2.
    centre, target = ((np.array(size[::-1]) - 1) / 2 for size in (driving_size_px, reference_size_px))
    scale = min(reference_size_px[0] / driving_size_px[0], reference_size_px[1] / driving_size_px[1])
    return _Placement(scale=scale, source=centre, target=target)
