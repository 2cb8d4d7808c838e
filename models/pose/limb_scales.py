"""Scale of each group of limbs from a driving skeleton to a reference, with substitutes for implausible ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.pose.proportions import (
    BODY_GROUPS,
    GROUPS,
    MID_HIP,
    NECK,
    Points,
    Visibility,
    length_ratios,
    most_alike_frame,
    summed_lengths,
)
from models.pose.skeleton import INDEX

ROOTS = (NECK, MID_HIP, INDEX["nose"])
"""Root candidates: the first that both skeletons have is compared."""

OVERALL = "overall"
"""Substitute for a group of limbs that has no comparable neighbour: the overall scale."""

MAX_DISPROPORTION = 4.0
"""Maximum factor between a group's ratio and the overall scale. Drawn characters reach 3.5 (heads, short legs); larger
factors come from foreshortened or misdetected limbs."""

SIDE_VIEW_SHARE = 0.35
"""Shoulder width over torso length below which a skeleton is in side view. Front views have 0.5 or more."""

FORESHORTENED_SHARE = 0.5
"""Length of a limb over that of its neighbour (thigh and shin, upper arm and forearm) below which it points at the
camera or away from it. Limbs across the view have 0.55 or more, of long- and short-legged characters alike."""

MAX_SUBSTITUTED_SHARE = 0.5
"""Maximum share of the measured body groups that may be substituted; beyond it, the proportions are not comparable."""

_NEIGHBOURS = {"thighs": "shins", "shins": "thighs", "upper_arms": "forearms", "forearms": "upper_arms"}
_WIDTHS = ("shoulders", "hips", "head")
"""Groups measured across the body."""
_TRUNK = {"trunk": ((MID_HIP, INDEX["nose"]),)}
"""Joint measure of torso and neck for a reference without shoulders."""

_Lengths = dict[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class LimbScales:
    """Scales in reference pixels per driving pixel, measured in the anchor frame.

    `scale`: overall scale. `median_scale`: median over the body's groups, robust if many are implausible.
    `ratios`: of each group of limbs that both have. `substitutes`: groups whose own ratio is implausible -> the group
    whose ratio they have, or `OVERALL`. `root`: compared root, one of `ROOTS`. `num_body_groups`: number of body groups
    that both have.
    """

    scale: float
    median_scale: float
    ratios: dict[str, float]
    substitutes: dict[str, str]
    anchor_frame: int
    root: int
    num_body_groups: int

    @property
    def comparable(self) -> bool:
        """Whether no more than `MAX_SUBSTITUTED_SHARE` of the body groups are substituted."""
        num_substituted = len(BODY_GROUPS.keys() & self.substitutes)
        return num_substituted <= MAX_SUBSTITUTED_SHARE * self.num_body_groups


def measure_limbs(points: Points, visible: Visibility, target: Points, target_visible: Visibility) -> LimbScales | None:
    """Scales from the driving skeletons (T, 135, 2) to the reference (135, 2); None without a common root or group.

    The overall scale is the ratio of the summed lengths of the body groups whose own ratio is plausible, or of the
    other groups if there are none.
    """
    root = next((point for point in ROOTS if target_visible[point] and visible[:, point].any()), None)
    if root is None:
        return None
    # Only frames with the root can be aligned to the reference's root.
    with_root = np.flatnonzero(visible[:, root])
    anchor = int(with_root[most_alike_frame(points[with_root], visible[with_root], target, target_visible)])
    skeletons = (points[anchor], visible[anchor], target, target_visible)
    lengths = summed_lengths(GROUPS, *skeletons)
    if root == MID_HIP and (trunk := summed_lengths(_TRUNK, *skeletons)):
        lengths["torso"] = trunk["trunk"]
    if not lengths:
        return None
    each = {name: length_ratios(GROUPS[name], *skeletons) for name in lengths}
    scale, ratios, substitutes = _plausible(lengths, each)
    if root == MID_HIP and "torso" in ratios:
        ratios["neck"] = ratios["torso"]
    body = [name for name in BODY_GROUPS if name in lengths]
    return LimbScales(
        scale=scale,
        median_scale=float(np.median([target / driving for driving, target in (lengths[n] for n in body or lengths)])),
        ratios=ratios,
        substitutes=substitutes,
        anchor_frame=anchor,
        root=root,
        num_body_groups=len(body),
    )


def _plausible(lengths: _Lengths, each: Mapping[str, list[float]]) -> tuple[float, dict[str, float], dict[str, str]]:
    """Overall scale, ratios and substitutes."""
    substitutes = _foreshortened(lengths)
    while True:
        scale = _overall_scale({name: pair for name, pair in lengths.items() if name not in substitutes} or lengths)
        ratios = {name: _ratio(pair, each[name], scale, num_limbs=len(GROUPS[name])) for name, pair in lengths.items()}
        factors = {name: max(ratio / scale, scale / ratio) for name, ratio in ratios.items() if name not in substitutes}
        worst = max(factors, key=lambda name: factors[name], default=None)
        if worst is None or factors[worst] <= MAX_DISPROPORTION:
            break
        substitutes[worst] = OVERALL
    for name, substitute in substitutes.items():
        if substitute in substitutes:
            substitutes[name] = OVERALL
        ratios[name] = ratios.get(substitutes[name], scale)
    return scale, ratios, substitutes


def _overall_scale(lengths: _Lengths) -> float:
    measured = [lengths[name] for name in BODY_GROUPS if name in lengths] or [*lengths.values()]
    return sum(of_target for _, of_target in measured) / sum(of_driving for of_driving, _ in measured)


def _ratio(summed: tuple[float, float], each: Sequence[float], scale: float, *, num_limbs: int) -> float:
    """Scale of a group: with several limbs, the median of those that both have and the overall scale, which is robust
    to a misdetected or hidden limb.
    """
    of_driving, of_target = summed
    return float(np.median([*each, scale])) if num_limbs > 1 else of_target / of_driving


def _foreshortened(lengths: _Lengths) -> dict[str, str]:
    """Groups that are foreshortened in one skeleton only, with their substitutes."""
    substitutes = {
        name: neighbour
        for name, neighbour in _NEIGHBOURS.items()
        if _short_in_one(lengths, name, neighbour, FORESHORTENED_SHARE)
    }
    if _short_in_one(lengths, "shoulders", "torso", SIDE_VIEW_SHARE):
        substitutes |= {name: OVERALL for name in _WIDTHS if name in lengths}
    return substitutes


def _short_in_one(lengths: _Lengths, name: str, other: str, share: float) -> bool:
    """Whether a group is shorter than a share of the other in one skeleton, but not in the other skeleton."""
    if name not in lengths or other not in lengths:
        return False
    driving, target = (
        of_name < share * of_other for of_name, of_other in zip(lengths[name], lengths[other], strict=True)
    )
    return driving != target
