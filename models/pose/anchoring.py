"""Position of a retargeted motion in its picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.pose.proportions import Points, Visibility
from models.pose.skeleton import BODY, FEET, INDEX

FEET_POINTS = tuple(
    tuple(INDEX[f"{side}_{part}"] for part in ("ankle", "big_toe", "small_toe", "heel")) for side in ("left", "right")
)
"""Ankle, toes and heel of each foot."""

MAX_GROUND_GAP_SHARE = 0.1
"""Maximum median distance of the lowest foot from the reference's, over the reference's height. Motions on the ground
stay below 0.05; in an anchor frame in mid-jump, the others sink by the height of the jump."""

MAX_START_SHARE = 0.25
"""Maximum horizontal distance of the root in the first frame from the reference's, over the width of the picture."""

MAX_OUTSIDE_SHARE = 0.5
"""Maximum share of frames whose root is outside the picture, for a motion that starts at the reference's position."""


def anchor_shift(
    points: Points,
    visible: Visibility,
    target: Points,
    target_visible: Visibility,
    *,
    root: int,
    anchor_frame: int,
    width_px: int,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Shift (x, y) in pixels of a motion (T, 135, 2) whose root is at the reference's in the anchor frame.

    Vertically, the lowest foot in the anchor frame is on the reference's ground, the height of its lowest foot;
    beyond `MAX_GROUND_GAP_SHARE`, the median of the lowest feet is. Horizontally, nothing moves, unless the
    character would start further from the reference than `MAX_START_SHARE`; then the first frame is at the reference's
    position or, if that takes the root out of the picture in more than `MAX_OUTSIDE_SHARE` of the frames, the
    median frame.

    Returns:
        The shift and the entries of `fallbacks`.
    """
    fallbacks = []
    dy = 0.0
    gaps = ground_gaps_px(points, visible, target, target_visible)
    if gaps is not None:
        dy = -gaps[anchor_frame] if np.isfinite(gaps[anchor_frame]) else 0.0
        median = float(np.nanmedian(gaps))
        if abs(median + dy) > MAX_GROUND_GAP_SHARE * height_px(target, target_visible):
            dy = -median
            fallbacks.append("retarget_ground=median frame")
    path = points[np.asarray(visible[:, root]), root, 0] - target[root, 0]
    dx = 0.0
    if abs(path[0]) > MAX_START_SHARE * width_px:
        dx = -float(path[0])
        xs = path + dx + target[root, 0]
        drifts = ((xs < 0) | (xs >= width_px)).mean() > MAX_OUTSIDE_SHARE
        if drifts:
            dx = -float(np.median(path))
        fallbacks.append(f"retarget_start={'median' if drifts else 'first'} frame")
    return np.array([dx, dy]), tuple(fallbacks)


def ground_gaps_px(
    points: Points, visible: Visibility, target: Points, target_visible: Visibility
) -> NDArray[np.float64] | None:
    """Distance (T) of the lowest foot below the reference's lowest, of the feet that the reference shows; NaN in
    frames without one. None if either has none.
    """
    # Toes without their ankle are mostly guesses below the edge of the picture.
    shown = [point for ankle, *foot in FEET_POINTS if target_visible[ankle] for point in (ankle, *foot)]
    shown = [point for point in shown if target_visible[point]]
    feet = visible[:, shown]
    if not feet.any():
        return None
    lowest = np.where(feet, points[:, shown, 1], -np.inf).max(axis=1)
    return np.where(feet.any(axis=1), lowest - target[shown, 1].max(), np.nan)


def height_px(target: Points, target_visible: Visibility) -> float:
    """Vertical extent of the body and feet of a skeleton (135, 2); 0 without points."""
    drawn = target[BODY.start : FEET.stop, 1][target_visible[BODY.start : FEET.stop]]
    return float(np.ptp(drawn)) if len(drawn) else 0.0
