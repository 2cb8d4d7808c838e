"""Retargeting of a driving skeleton to the proportions of a reference character.

Every limb keeps its direction and takes the reference's length; the motion starts at the reference's position. If the
reference skeleton is missing or incomplete, coarser rules apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from models.pose.anchoring import anchor_shift
from models.pose.extent import CONFIDENT_SCORE
from models.pose.limb_scales import measure_limbs
from models.pose.proportions import BODY_GROUPS, MID_HIP, NECK, Points, Visibility, with_centres, with_lengths
from models.pose.published_alignment import PublishedRule, align_published
from models.pose.skeleton import NUM_KEYPOINTS

Rule = Literal["limbs", "uniform", "similarity", "box", "frame", "none", "musepose", "unianimate", "mimicmotion"]
RULES: tuple[Rule, ...] = get_args(Rule)
Box = tuple[float, float, float, float]

MAX_SCALE = 16.0
"""Maximum factor between a rule's scale and that of "frame". A close-up driven by a whole body has about 8."""

MIN_LIMB_GROUPS = 3
"""Minimum number of common body limb groups to compare the proportions of two skeletons."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retargeted:
    """Driving skeleton in pixels of the reference image.

    `keypoints`: (T, 133, 3) float32; points missing in the driving video have score 0 and coordinates 0.
    `rule`: the rule applied, which may be coarser than the requested one.
    `scale`: overall scale in reference pixels per driving pixel; None under the rules of public implementations, which
      scale limb by limb.
    `ratios`: scale of each group of limbs that both have, under the rule "limbs"; otherwise empty.
    `offset_px`: (x, y) in reference pixels of the driving image's origin, scaled about the root of the anchor frame;
      None under the rules of public implementations.
    `anchor_frame`: index of the driving frame compared with the reference; None if none was compared.
    `fallbacks`: what replaced implausible scales, positions and rules, as in the column `fallbacks` of results.
    """

    keypoints: NDArray[np.float32]
    rule: Rule
    scale: float | None
    ratios: Mapping[str, float]
    offset_px: tuple[float, float] | None
    anchor_frame: int | None
    fallbacks: tuple[str, ...] = ()


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
      reference over driving, measured in the anchor frame (`models.pose.limb_scales`): the driving frame whose limb
      directions are most similar to the reference's, and hence its foreshortening. Points with an invisible parent are
      attached to the next visible ancestor with the overall scale, as are groups missing in either skeleton. The root
      is the middle of the hips, whose path is scaled as the legs are, if both skeletons have legs; else the first of
      neck, hips and nose, whose path has the overall scale. It starts from the reference's position in the anchor
      frame (`models.pose.anchoring`). For a reference without shoulders, torso and neck share the ratio of the distance
      from hips to nose. Requires a common root, a common group of limbs, and plausible ratios of half of the body's.
    - "uniform": one scale, the median of the ratios, at the same position. Requires a common root and group of limbs.
    - "similarity": one scale and shift that fit the box of the common points, in the frame with the most of them.
      Requires two distinct points.
    - "box": one scale and shift that fit the skeleton into `reference_box`, centred on its lower edge, in the frame
      with the most points. Requires the box.
    - "frame": one scale and shift that fit the driving image into the reference image, centred.
    - "none": unchanged coordinates.
    - "musepose", "unianimate", "mimicmotion": as the public code of that name (`models.pose.published_alignment`).
      Requires neck, shoulders and hips in the reference and in the first driving frame; otherwise "limbs" is next.

    A scale that differs from that of "frame" by more than `MAX_SCALE` is implausible, and the next rule applies.

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
            ratios: Mapping[str, float] = MappingProxyType({})
            return Retargeted(keypoints=aligned, rule=rule, scale=None, ratios=ratios, offset_px=None, anchor_frame=0)

    used, placement, fallbacks = _first_fit(
        rule, points, visible, target, target_visible, reference_box, driving_size_px, reference_size_px
    )
    moved = placement.place(points, visible)[:, :NUM_KEYPOINTS]
    visible = visible[:, :NUM_KEYPOINTS]
    keypoints = np.zeros(driving.shape, np.float32)
    keypoints[..., :2] = np.where(visible[..., None], moved, 0.0)
    keypoints[..., 2] = np.where(visible, driving[..., 2], 0.0)
    offset_x, offset_y = placement.target - placement.scale * placement.source
    return Retargeted(
        keypoints=keypoints,
        rule=used,
        scale=placement.scale,
        ratios=MappingProxyType(placement.ratios),
        offset_px=(float(offset_x), float(offset_y)),
        anchor_frame=placement.anchor_frame,
        fallbacks=(*fallbacks, *placement.fallbacks),
    )


def _first_fit(
    rule: Rule,
    points: Points,
    visible: Visibility,
    target: Points,
    target_visible: Visibility,
    box: Box | None,
    driving_size_px: tuple[int, int],
    reference_size_px: tuple[int, int],
) -> tuple[Rule, _Placement, tuple[str, ...]]:
    """First rule from `rule` on that applies, its placement, and the entry of `fallbacks` if it is another one."""
    skeletons = (points, visible, target, target_visible)
    by_limbs = partial(_by_limbs, *skeletons, width_px=reference_size_px[1])
    fits: Mapping[Rule, Callable[[], _Placement | str]] = {
        "limbs": partial(by_limbs, uniform=False),
        "uniform": partial(by_limbs, uniform=True),
        "similarity": lambda: _by_common_points(*skeletons),
        "box": lambda: _into_box(points, visible, box),
        "frame": lambda: _frame_into_frame(driving_size_px, reference_size_px),
        "none": lambda: _Placement(scale=1.0, source=np.zeros(2), target=np.zeros(2)),
    }
    reason = ""
    if rule not in fits:
        reason, rule = f"{rule} needs neck, shoulders and hips in the picture and in the first driving frame", "limbs"
    frame_scale = _frame_into_frame(driving_size_px, reference_size_px).scale
    rules = tuple(fits)
    for name in rules[rules.index(rule) :]:
        fit = fits[name]()
        if isinstance(fit, str):
            reason = reason or fit
        elif name in ("frame", "none") or 1 / MAX_SCALE <= fit.scale / frame_scale <= MAX_SCALE:
            return name, fit, (f"retarget_rule={name}: {reason}",) if reason else ()
        else:
            reason = reason or f"{fit.scale:.3g} pixels of the picture for one of the driving frame"
    raise AssertionError("the rule frame applies to everything")


def limb_ratios(
    driving: NDArray[np.float32], reference: NDArray[np.float32], *, min_score: float = CONFIDENT_SCORE
) -> tuple[float, Mapping[str, float]] | None:
    """Overall scale and ratio of each group of limbs, as measured by the rule "limbs".

    None if the skeletons have no common neck or fewer than `MIN_LIMB_GROUPS` common groups of body limbs.

    `driving`: (T, 133, 3). `reference`: (133, 3).

    Raises:
        ValueError: a point of at least `min_score` is not finite.
    """
    scales = measure_limbs(*with_centres(driving, min_score), *with_centres(reference, min_score))
    if scales is None or scales.root != NECK or scales.num_body_groups < MIN_LIMB_GROUPS:
        return None
    return scales.scale, MappingProxyType(scales.ratios)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Placement:
    """Similarity transform p -> target + scale · (p − source), with what the rules of limbs add to it.

    `motion_scale`: scale of the path of the root; None: `scale`.
    """

    scale: float
    source: Points
    target: Points
    ratios: dict[str, float] = field(default_factory=dict)
    anchor_frame: int | None = None
    root: int = NECK
    motion_scale: float | None = None
    fallbacks: tuple[str, ...] = ()

    def place(self, points: Points, visible: Visibility) -> Points:
        placed: Points = self.target + self.scale * (points - self.source)
        if not self.ratios:
            return placed
        motion_scale = self.scale if self.motion_scale is None else self.motion_scale
        placed[:, self.root] = self.target + motion_scale * (points[:, self.root] - self.source)
        return with_lengths(points, visible, self.ratios, placed, self.scale, root=self.root)


def _by_limbs(
    points: Points, visible: Visibility, target: Points, target_visible: Visibility, *, width_px: int, uniform: bool
) -> _Placement | str:
    scales = measure_limbs(points, visible, target, target_visible)
    if scales is None:
        return "no limbs in common"
    if not uniform and not scales.comparable:
        num_implausible = len(BODY_GROUPS.keys() & scales.substitutes)
        return f"{num_implausible} of {scales.num_body_groups} groups of limbs are out of proportion"
    anchor = scales.anchor_frame
    legs = [scales.ratios[name] for name in ("thighs", "shins") if name in scales.ratios]
    on_legs = len(legs) == 2 and visible[anchor, MID_HIP] and target_visible[MID_HIP]
    root = MID_HIP if on_legs else scales.root
    placement = _Placement(
        scale=scales.median_scale if uniform else scales.scale,
        source=points[anchor, root],
        target=target[root],
        ratios={} if uniform else scales.ratios,
        anchor_frame=anchor,
        root=root,
        # A planted foot stays planted if the hips move by the scale of the legs.
        motion_scale=float(np.mean(legs)) if on_legs else None,
        fallbacks=() if uniform else tuple(f"retarget_limbs={a} as {b}" for a, b in scales.substitutes.items()),
    )
    shift, fallbacks = anchor_shift(
        placement.place(points, visible),
        visible,
        target,
        target_visible,
        root=root,
        anchor_frame=anchor,
        width_px=width_px,
    )
    return replace(placement, target=target[root] + shift, fallbacks=(*placement.fallbacks, *fallbacks))


def _by_common_points(
    points: Points, visible: Visibility, target: Points, target_visible: Visibility
) -> _Placement | str:
    common = (visible & target_visible)[:, :NUM_KEYPOINTS]
    anchor = int(np.argmax(common.sum(axis=1)))
    if common[anchor].sum() < 2:
        return "fewer than two points in common"
    (low, high), (target_low, target_high) = (
        (xy[:NUM_KEYPOINTS][common[anchor]].min(axis=0), xy[:NUM_KEYPOINTS][common[anchor]].max(axis=0))
        for xy in (points[anchor], target)
    )
    diagonal, target_diagonal = np.linalg.norm(high - low), np.linalg.norm(target_high - target_low)
    if diagonal == 0 or target_diagonal == 0:
        return "all points in common are at one place"
    return _Placement(
        scale=float(target_diagonal / diagonal),
        source=(low + high) / 2,
        target=(target_low + target_high) / 2,
        anchor_frame=anchor,
    )


def _into_box(points: Points, visible: Visibility, box: Box | None) -> _Placement | str:
    if box is None:
        return "no box of the reference character"
    anchor = int(np.argmax(visible[:, :NUM_KEYPOINTS].sum(axis=1)))
    drawn = points[anchor, :NUM_KEYPOINTS][visible[anchor, :NUM_KEYPOINTS]]
    if len(drawn) < 2 or not np.ptp(drawn, axis=0).any():
        return "fewer than two distinct points in the driving frames"
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
