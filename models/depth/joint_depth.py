"""Depth at the joints of a skeleton, and structured depth drawn from it, along a retargeted skeleton as well."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.depth.structured import LINE_WIDTH_SHARE
from models.pose.extent import CONFIDENT_SCORE, character_size_px
from models.pose.skeleton import BODY_LIMBS, FACE, FEET_LIMBS, LEFT_HAND_LIMBS, RIGHT_HAND_LIMBS

SEARCH_SHARE = 0.02
"""Distance within which a joint's depth is looked for, relative to the shorter side of the frame."""

_THICK = np.array([*BODY_LIMBS, *FEET_LIMBS])
_THIN = np.array([*LEFT_HAND_LIMBS, *RIGHT_HAND_LIMBS, *((k, k) for k in range(FACE.start, FACE.stop))])
_LIMBS = np.concatenate([_THICK, _THIN])
_LEVELS_PER_PIECE = 8
"""Largest difference of drawn depth between neighbouring pieces of a limb that is long enough to be divided."""
_PIECE_PX = 2.0
"""Least length of a piece of a limb."""
_SUBPIXEL_BITS = 4
# cv2 takes 32-bit integers; coordinates of gross mispredictions are clipped to this range.
_MAX_COORDINATE_PX = 16_000


def joint_depths(depth_THW: NDArray[np.float32], keypoints_TK3: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depth (T, 133) float32 of the known pixel that is nearest to each joint; NaN where it is unknown.

    Unknown are the joints that score below `CONFIDENT_SCORE`, that lie outside the frame, or that have no known depth
    within `SEARCH_SHARE`.

    `depth_THW`: float32, NaN where there is none. `keypoints_TK3`: (T, 133, 3) in pixels of the depth.

    Raises:
        ValueError: the numbers of frames differ.
    """
    num_frames, height, width = depth_THW.shape
    if len(keypoints_TK3) != num_frames:
        raise ValueError(f"expected keypoints of {num_frames} frames, as many as depth has, got {len(keypoints_TK3)}")
    found = np.full(keypoints_TK3.shape[:2], np.nan, np.float32)
    frames, joints = np.nonzero(keypoints_TK3[..., 2] >= CONFIDENT_SCORE)
    x, y = np.rint(keypoints_TK3[frames, joints, :2]).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    frames, joints, x, y = frames[inside], joints[inside], x[inside].astype(int), y[inside].astype(int)
    # A border without depth spares every offset a test of its own.
    radius = max(1, round(SEARCH_SHARE * min(height, width)))
    bordered = np.pad(depth_THW, ((0, 0), (radius, radius), (radius, radius)), constant_values=np.nan)
    for dy, dx in _offsets(radius):
        if not len(frames):
            break
        values = bordered[frames, y + (radius + dy), x + (radius + dx)]
        known = np.isfinite(values)
        found[frames[known], joints[known]] = values[known]
        frames, joints, x, y = frames[~known], joints[~known], x[~known], y[~known]
    return found


def draw_structured_depth(
    joint_depth_TK: NDArray[np.float32],
    keypoints_TK3: NDArray[np.float32],
    size_px: tuple[int, int],
    *,
    line_width_share: float = LINE_WIDTH_SHARE,
    min_score: float = CONFIDENT_SCORE,
) -> NDArray[np.uint8]:
    """Draw every visible limb of a clip as a line with the depth between its joints: uint8 (T, H, W).

    255 is the nearest depth of the clip, 1 the farthest, and 0 none; where limbs overlap, the nearer is drawn. A limb
    with one joint of unknown depth has that of the other; without any, it is left out. Body and feet have the given
    width, at least one pixel, fingers and face half of it.

    Args:
        joint_depth_TK: (T, 133), smaller is nearer, NaN where unknown (`joint_depths`).
        keypoints_TK3: (T, 133, 3) in pixels of the drawing; those below `min_score` are not visible.
        size_px: height and width of the drawing.
        line_width_share: width of a limb relative to the character's size.

    Raises:
        ValueError: a visible keypoint is not finite.
    """
    visible = keypoints_TK3[..., 2] >= min_score
    if not np.isfinite(keypoints_TK3[visible]).all():
        raise ValueError(f"keypoints that score at least {min_score} must have finite coordinates")
    levels = _levels(np.where(visible, joint_depth_TK, np.nan))
    starts, ends = _LIMBS.T
    first, last = levels[:, starts], levels[:, ends]
    first, last = np.where(np.isnan(first), last, first), np.where(np.isnan(last), first, last)
    frames, limbs = np.nonzero(visible[:, starts] & visible[:, ends] & ~np.isnan(first))
    keypoints = np.clip(keypoints_TK3, -_MAX_COORDINATE_PX, _MAX_COORDINATE_PX)
    xy = keypoints[..., :2].astype(np.float64)
    values, which, ends_px = _pieces(
        xy[frames, starts[limbs]], xy[frames, ends[limbs]], first[frames, limbs], last[frames, limbs]
    )
    width_px = max(1.0, line_width_share * character_size_px(keypoints, min_score=min_score))
    widths = np.where(limbs < len(_THICK), max(1, round(width_px)), max(1, round(width_px / 2)))
    canvases = np.zeros((len(keypoints_TK3), *size_px), np.uint8)
    drawn = (array.tolist() for array in (frames[which], *ends_px.T, values, widths[which]))
    for t, x0, y0, x1, y1, value, width in zip(*drawn, strict=True):
        cv2.line(canvases[t], (x0, y0), (x1, y1), value, width, cv2.LINE_8, _SUBPIXEL_BITS)
    return canvases


def _levels(depth_TK: NDArray[np.floating]) -> NDArray[np.float64]:
    """Depth as drawn, 1 (farthest in the clip) to 255 (nearest); NaN where it is unknown."""
    known = depth_TK[np.isfinite(depth_TK)].astype(np.float64)
    if not len(known):
        return np.full(depth_TK.shape, np.nan)
    near, far = known.min(), known.max()
    levels: NDArray[np.float64] = 255.0 - (depth_TK - near) * (254.0 / ((far - near) or 1.0))
    return levels


def _pieces(
    start_N2: NDArray[np.float64],
    end_N2: NDArray[np.float64],
    first_N: NDArray[np.float64],
    last_N: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Divide limbs into pieces of one level each, the farthest first: level, limb, and x0, y0, x1, y1 in 1/16 pixel.

    Drawn in this order, nearer pieces cover farther ones.
    """
    steps = np.ceil(np.abs(last_N - first_N) / _LEVELS_PER_PIECE)
    room = np.hypot(*(end_N2 - start_N2).T) // _PIECE_PX
    counts = np.maximum(np.minimum(steps, room), 1).astype(int)
    which = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(which)) - np.repeat(counts.cumsum() - counts, counts)
    begin, step = number / counts[which], 1 / counts[which]
    levels = first_N[which] + (begin + step / 2) * (last_N - first_N)[which]
    order = np.argsort(levels, kind="stable")
    along = (end_N2 - start_N2)[which] * (1 << _SUBPIXEL_BITS)
    origin = start_N2[which] * (1 << _SUBPIXEL_BITS)
    ends_px = np.concatenate([origin + begin[:, None] * along, origin + (begin + step)[:, None] * along], axis=1)
    return np.rint(levels).astype(int)[order], which[order], np.rint(ends_px).astype(int)[order]


def _offsets(radius_px: int) -> list[tuple[int, int]]:
    """Offsets (y, x) within a circle, by distance."""
    sides = range(-radius_px, radius_px + 1)
    inside = [(dy, dx) for dy in sides for dx in sides if dy**2 + dx**2 <= radius_px**2]
    return sorted(inside, key=lambda offset: (offset[0] ** 2 + offset[1] ** 2, offset))
