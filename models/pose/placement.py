"""Placement of a retargeted skeleton on the ground or on a seat of the driving video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE, character_size_px
from models.pose.proportions import MID_HIP, NECK, interpolated, with_centres
from models.pose.skeleton import BODY, FEET, INDEX

PlacementRule = Literal["feet", "body", "seat"]
"""Points that define the ground: the lowest in frames that show a foot ("feet"), or the lowest of whatever is visible
("body"). "seat": as "feet" or "body", but the hips in frames in which the character sits."""

_STANDING = slice(BODY.start, FEET.stop)
_HIPS = [INDEX["left_hip"], INDEX["right_hip"]]
_FEET = [INDEX["left_ankle"], INDEX["right_ankle"], *range(FEET.start, FEET.stop)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a character stands relative to the driving one: `scale` of its size, above 0, and `offset_px` (x, y).

    Raises:
        ValueError: `scale` is not positive.
    """

    scale: float = 1.0
    offset_px: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"scale must be above 0, got {self.scale}")


UNMOVED = Placement()


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """`keypoints`: (T, 133, 3) float32 in the pixels of the driving skeleton. `rule`: the rule that applied.

    `scale`: factor from the retargeted to the placed skeleton.
    """

    keypoints: NDArray[np.float32]
    rule: PlacementRule
    scale: float


def place(
    retargeted: NDArray[np.float32],
    driving: NDArray[np.float32],
    placement: Placement = UNMOVED,
    *,
    seated_T: NDArray[np.float64] | None = None,
    min_score: float = CONFIDENT_SCORE,
) -> Placed:
    """Place a retargeted skeleton (T, 133, 3) where the driving one (T, 133, 3) stands.

    It is scaled by one factor, to `placement.scale` times the driving character's size. In each frame the middle of its
    hips (of its shoulders, if no frame shows both hips) has the x of the driving character's, and its lowest point of
    body and feet the y of the driving character's lowest ("feet"). Frames without a foot take the shift of the frames
    around them, since other points say nothing about the ground. If no frame shows a foot, one vertical shift applies
    to all frames: the median of those between the lowest visible points ("body"). In frames in which the driving
    character sits, its hips give the vertical shift, so that longer or shorter legs do not lift the character off the
    seat ("seat"). The offset is added.

    Args:
        retargeted: the character's proportions, in pixels of any scale; missing if below `min_score`.
        driving: same frames; missing if below `min_score`.
        placement: relative to the driving character.
        seated_T: degree to which the driving character sits, 0-1 (`models.pose.seat`); None: it does not.
        min_score: minimum score of a visible point.

    Raises:
        ValueError: the shapes or the numbers of frames differ.
    """
    if retargeted.shape != driving.shape or retargeted.ndim != 3:
        raise ValueError(f"expected two skeletons (T, 133, 3) alike, got {retargeted.shape} and {driving.shape}")
    if seated_T is not None and seated_T.shape != (len(driving),):
        raise ValueError(f"expected seated_T of {len(driving)} frames, got the shape {seated_T.shape}")
    common = (retargeted[..., 2] >= min_score) & (driving[..., 2] >= min_score)
    factor = placement.scale * _size_ratio(driving, retargeted, common)
    points = retargeted[..., :2].astype(np.float64) * factor
    target = driving[..., :2].astype(np.float64)
    rule, shift_y = _ground_shift(points, target, common)
    if seated_T is not None and (hips := common[:, _HIPS].all(axis=1) & (seated_T > 0)).any():
        on_seat = (target - points)[:, _HIPS, 1].mean(axis=1)
        shift_y += seated_T * (interpolated(on_seat, hips) - shift_y)
        rule = "seat"
    shift = np.stack([_root_shift(points, target, common), shift_y], axis=-1) + np.asarray(placement.offset_px)
    visible = retargeted[..., 2] >= min_score
    placed = np.zeros(retargeted.shape, np.float32)
    placed[..., :2] = np.where(visible[..., None], points + shift[:, None], 0.0)
    placed[..., 2] = np.where(visible, retargeted[..., 2], 0.0)
    return Placed(keypoints=placed, rule=rule, scale=factor)


def _size_ratio(driving: NDArray[np.float32], retargeted: NDArray[np.float32], common: NDArray[np.bool_]) -> float:
    sizes = []
    for keypoints in (driving, retargeted):
        standing = keypoints[:, _STANDING].copy()
        standing[..., 2] = common[:, _STANDING]
        sizes.append(character_size_px(standing))
    return sizes[0] / sizes[1] if min(sizes) > 0 else 1.0


def _ground_shift(
    points: NDArray[np.float64], target: NDArray[np.float64], common: NDArray[np.bool_]
) -> tuple[PlacementRule, NDArray[np.float64]]:
    seen = common[:, _STANDING]
    lowest, lowest_target = (np.where(seen, xy[:, _STANDING, 1], -np.inf).max(axis=1) for xy in (points, target))
    standing: NDArray[np.bool_] = np.asarray(seen.any(axis=1))
    shift = np.zeros(len(points))
    shift[standing] = lowest_target[standing] - lowest[standing]
    with_feet: NDArray[np.bool_] = np.asarray(common[:, _FEET].any(axis=1))
    if with_feet.any():
        return "feet", interpolated(shift, with_feet)
    return "body", np.full(len(points), np.median(shift[standing]) if standing.any() else 0.0)


def _root_shift(
    points: NDArray[np.float64], target: NDArray[np.float64], common: NDArray[np.bool_]
) -> NDArray[np.float64]:
    scores = common.astype(np.float64)[..., None]
    placed, _ = with_centres(np.concatenate([points, scores], axis=-1).astype(np.float32), 0.5)
    wanted, visible = with_centres(np.concatenate([target, scores], axis=-1).astype(np.float32), 0.5)
    for root in (MID_HIP, NECK):
        if visible[:, root].any():
            return interpolated(wanted[:, root, 0] - placed[:, root, 0], np.asarray(visible[:, root]))
    if not common.any():
        return np.zeros(len(points))
    shifts = np.where(common, target[..., 0] - points[..., 0], 0.0)
    return np.full(len(points), shifts.sum() / common.sum())
