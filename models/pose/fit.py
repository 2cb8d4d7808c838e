"""Measures of how a retargeted motion fits its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.pose.anchoring import ground_gaps_px, height_px
from models.pose.extent import CONFIDENT_SCORE
from models.pose.proportions import (
    BODY_GROUPS,
    MID_HIP,
    NECK,
    Points,
    Visibility,
    most_alike_frame,
    summed_lengths,
    with_centres,
)
from models.pose.skeleton import FEET, INDEX

_BODY_AND_FEET = slice(0, FEET.stop)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Measures of a retargeted motion; pixels are those of the picture.

    `plausibility`: 0–1, product of five shares. In the frame most similar to the reference, mean over the body's groups
      of limbs of the smaller over the larger: lengths of reference and result; scales of the group and of all. Then:
      points inside the picture among those that the reference shows; 1 − |`ground_gap_px`| over half the
      reference's height; 1 − `start_offset_px` over half the picture's diagonal. None without a common group of limbs.
    `outside_share`: share of all visible points of body and feet that are outside the picture.
    `max_outside_px`: distance of the farthest of them from the picture; 0 if all are inside.
    `start_offset_px`: distance of the character in its first frame from the reference: of the middle of the hips, else
      neck, else nose. None without a common one.
    `ground_gap_px`: median distance of the lowest foot below the reference's lowest, negative above it. None without
      feet in both.
    """

    plausibility: float | None
    outside_share: float
    max_outside_px: float
    start_offset_px: float | None
    ground_gap_px: float | None


def measure_fit(
    retargeted: NDArray[np.float32],
    driving: NDArray[np.float32],
    reference: NDArray[np.float32],
    *,
    size_px: tuple[int, int],
    stands_there: bool = True,
    min_score: float = CONFIDENT_SCORE,
) -> Fit:
    """Fit of a retargeted motion (T, 133, 3), obtained from a driving one (T, 133, 3), to a reference (133, 3).

    `size_px`: (height, width) of the picture. `stands_there`: whether the motion is to start from the reference's
    position; otherwise its distances from there are None.
    """
    points, visible = with_centres(retargeted, min_score)
    target, target_visible = with_centres(reference, min_score)
    distances_px = _distances_outside_px(points, size_px)
    shown = visible[:, _BODY_AND_FEET]
    outside = (distances_px > 0)[:, _BODY_AND_FEET] & shown
    as_in_reference = shown & target_visible[_BODY_AND_FEET]
    gaps = ground_gaps_px(points, visible, target, target_visible) if stands_there else None
    gap = None if gaps is None else float(np.nanmedian(gaps))
    start = _start_offset_px(points, visible, target, target_visible) if stands_there else None
    agreement = _length_agreement(points, visible, with_centres(driving, min_score)[0], target, target_visible)
    plausibility = None
    if agreement is not None:
        inside = 1 - _share(outside, as_in_reference)
        half_height, half_diagonal = height_px(target, target_visible) / 2, float(np.hypot(*size_px)) / 2
        grounded = 1.0 if gap is None or half_height == 0 else max(0.0, 1 - abs(gap) / half_height)
        near = 1.0 if start is None else max(0.0, 1 - start / half_diagonal)
        plausibility = agreement * inside * grounded * near
    return Fit(
        plausibility=plausibility,
        outside_share=_share(outside, shown),
        max_outside_px=float(np.where(outside, distances_px[:, _BODY_AND_FEET], 0.0).max()),
        start_offset_px=start,
        ground_gap_px=gap,
    )


def _distances_outside_px(points: Points, size_px: tuple[int, int]) -> NDArray[np.float64]:
    # Pixel centres are integers, so the picture ends half a pixel beyond the outer ones.
    low, high = -0.5, np.array(size_px[::-1]) - 0.5
    distances: NDArray[np.float64] = np.linalg.norm(np.maximum(np.maximum(low - points, points - high), 0), axis=-1)
    return distances


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    return float((part & whole).sum() / whole.sum()) if whole.any() else 0.0


def _start_offset_px(points: Points, visible: Visibility, target: Points, target_visible: Visibility) -> float | None:
    for root in (MID_HIP, NECK, INDEX["nose"]):
        frames = np.flatnonzero(visible[:, root])
        if target_visible[root] and len(frames):
            return float(np.linalg.norm(points[frames[0], root] - target[root]))
    return None


def _length_agreement(
    points: Points, visible: Visibility, driving: Points, target: Points, target_visible: Visibility
) -> float | None:
    """Agreement of the limb lengths with the reference's, times that of their scales with one another."""
    frame = most_alike_frame(points, visible, target, target_visible)
    lengths = summed_lengths(BODY_GROUPS, points[frame], visible[frame], target, target_visible)
    scaled = summed_lengths(BODY_GROUPS, driving[frame], visible[frame], points[frame], visible[frame])
    if not lengths or not scaled:
        return None
    scale = sum(after for _, after in scaled.values()) / sum(before for before, _ in scaled.values())
    with_reference = np.mean([min(pair) / max(pair) for pair in lengths.values()])
    with_one_another = np.mean(
        [min(after, scale * before) / max(after, scale * before) for before, after in scaled.values()]
    )
    return float(with_reference * with_one_another)
