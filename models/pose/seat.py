"""Frames in which a character sits on an object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE, character_size_px
from models.pose.proportions import interpolated
from models.pose.skeleton import BODY, FEET, INDEX

UPRIGHT_SHARE = 0.9
"""Height of the hips over the knees, relative to that of the knees over the ankles, from which on a thigh is upright.
Standing and walking characters have 1 or more."""
RESTING_SHARE = 0.5
"""The same below which a thigh rests on a seat. Seated characters have up to 0.4, from the front and from the side."""
SEAT_SHARES = (0.1, 0.6)
"""Least and largest share of the objects' visible pixels in the area between hips and ground. A seat is partly behind
the legs; what covers more of the area stands before them, and the legs are guesses."""
_MEDIAN_FRAMES = 5
"""Frames over which the degree's median is taken, since single skeletons may be wrong."""
_HALF_WIDTH_SHARE = 0.15
"""Half of the width of that area, relative to the character's size."""

_LEGS = np.array([[INDEX[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle")] for side in ("left", "right")])


def seated(
    keypoints_TK3: NDArray[np.float32], objects_THW: NDArray[np.bool_], *, min_score: float = CONFIDENT_SCORE
) -> NDArray[np.float64]:
    """Degree to which a character sits in each frame, 0 (it stands) to 1 (both thighs rest), float64 (T,).

    All 0 unless, in most frames in which its thighs rest rather than stand, pixels of objects are below its hips
    (`SEAT_SHARES`): otherwise it crouches, or is behind an object.

    Args:
        keypoints_TK3: (T, 133, 3) in pixels of the masks.
        objects_THW: visible pixels of objects.
        min_score: minimum score of a visible point.

    Raises:
        ValueError: the numbers of frames differ.
    """
    if len(keypoints_TK3) != len(objects_THW):
        raise ValueError(f"expected masks of {len(keypoints_TK3)} frames, got {len(objects_THW)}")
    shares = _thigh_shares(keypoints_TK3, min_score)
    degrees = np.clip((UPRIGHT_SHARE - shares) / (UPRIGHT_SHARE - RESTING_SHARE), 0, 1)
    measured = np.isfinite(degrees)
    degrees = interpolated(np.where(measured, degrees, 0.0), measured)
    padded = np.pad(degrees, _MEDIAN_FRAMES // 2, mode="edge")
    degrees = np.median(np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN_FRAMES), axis=1)
    resting = np.flatnonzero(measured & (degrees > 0.5))
    size_px = character_size_px(keypoints_TK3)
    below = [_share_below(keypoints_TK3[t], objects_THW[t], size_px, min_score) for t in resting.tolist()]
    least, largest = SEAT_SHARES
    on_seat = sum(least <= share <= largest for share in below)
    return degrees if 2 * on_seat > len(resting) else np.zeros(len(degrees))


def _thigh_shares(keypoints_TK3: NDArray[np.float32], min_score: float) -> NDArray[np.float64]:
    """Vertical extent of the more upright thigh over that of its shin; NaN in frames without a whole leg."""
    y, visible = keypoints_TK3[:, _LEGS, 1].astype(np.float64), keypoints_TK3[:, _LEGS, 2] >= min_score
    thighs, shins = y[..., 1] - y[..., 0], np.maximum(y[..., 2] - y[..., 1], 1.0)
    whole = np.all(visible, axis=-1)
    shares = np.where(whole, thighs / shins, -np.inf).max(axis=1)
    return np.where(np.any(whole, axis=1), shares, np.nan)


def _share_below(
    keypoints_K3: NDArray[np.float32], object_HW: NDArray[np.bool_], size_px: float, min_score: float
) -> float:
    """Share of an object's pixels in the area between the hips and the lowest point of body and feet."""
    hips = keypoints_K3[_LEGS[:, 0]]
    hips = hips[hips[:, 2] >= min_score]
    standing = keypoints_K3[BODY.start : FEET.stop]
    bottom = standing[standing[:, 2] >= min_score, 1].max()
    x, top = hips[:, :2].mean(axis=0)
    left, right = x - _HALF_WIDTH_SHARE * size_px, x + _HALF_WIDTH_SHARE * size_px
    (y0, y1), (x0, x1) = (
        np.clip(np.rint(ends), 0, side).astype(int)
        for ends, side in zip(((top, bottom), (left, right)), object_HW.shape, strict=True)
    )
    area = object_HW[y0:y1, x0:x1]
    return float(area.mean()) if area.size else 0.0
