"""Drawing of skeletons: a coloured overlay for viewing, and a mask for structured depth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE, character_size_px
from models.pose.skeleton import (
    BODY_LIMBS,
    FACE,
    FEET,
    FEET_LIMBS,
    INDEX,
    KEYPOINT_NAMES,
    LEFT_HAND_LIMBS,
    RIGHT_HAND_LIMBS,
)

LINE_WIDTH_SHARE = 0.018
"""Limb width of the overlay relative to the character's size."""

_SUBPIXEL_BITS = 4
# cv2 takes 32-bit integers; coordinates of gross mispredictions are clipped to this range.
_MAX_COORDINATE_PX = 16_000

# Warm colours for the character's left, cool for its right, to make swapped sides visible.
_LEFT = {"arm": (255, 176, 46), "leg": (255, 96, 92), "head": (255, 208, 120)}
_RIGHT = {"arm": (52, 199, 255), "leg": (94, 126, 255), "head": (150, 222, 255)}
_MIDDLE = (126, 231, 135)
_HALO = (16, 18, 24)
_WHITE = (255, 255, 255)
_ARM_PARTS = ("elbow", "wrist", "hand", "thumb", "index", "middle", "ring", "pinky")
_HEAD_PARTS = ("nose", "eye", "ear")
_TORSO_PARTS = ("shoulder", "hip")


def draw_skeleton(
    image: NDArray[np.uint8],
    keypoints: NDArray[np.float32],
    *,
    min_score: float = CONFIDENT_SCORE,
    line_width_px: float | None = None,
) -> NDArray[np.uint8]:
    """Draw the skeleton of one frame, keypoints (133, 3), over a copy of the image (H, W, 3) RGB.

    Keypoints below `min_score` and their limbs are omitted. The default line width is proportional to the character's
    size.
    """
    points = _fixed_point(keypoints)
    confident = keypoints[:, 2] >= min_score
    if line_width_px is None:
        line_width_px = max(2.0, LINE_WIDTH_SHARE * character_size_px(keypoints[None], min_score=min_score))
    thick, thin = max(1, round(line_width_px)), max(1, round(line_width_px / 2))
    limbs = [(pair, thick) for pair in (*BODY_LIMBS, *FEET_LIMBS) if confident[list(pair)].all()]
    limbs += [(pair, thin) for pair in (*LEFT_HAND_LIMBS, *RIGHT_HAND_LIMBS) if confident[list(pair)].all()]

    halo = image.copy()
    for (a, b), width in limbs:
        _line(halo, points[a], points[b], _HALO, width + 2)
    canvas: NDArray[np.uint8] = cv2.addWeighted(image, 0.35, halo, 0.65, 0)
    for (a, b), width in limbs:
        _line(canvas, points[a], points[b], _limb_colour(a, b), width)
    for k in np.flatnonzero(confident):
        if FACE.start <= k < FACE.stop:
            _dot(canvas, points[k], _WHITE, line_width_px / 4)
        elif k < FACE.start:
            radius_px = line_width_px * (0.7 if INDEX["left_shoulder"] <= k < FEET.start else 0.45)
            _dot(canvas, points[k], _HALO, radius_px)
            _dot(canvas, points[k], _WHITE, 0.6 * radius_px)
    return canvas


def rasterise_skeleton(
    keypoints: NDArray[np.float32],
    size: tuple[int, int],
    *,
    line_width_px: float,
    min_score: float = CONFIDENT_SCORE,
) -> NDArray[np.bool_]:
    """Mask (H, W) of one frame's skeleton: body and feet limbs at the given width, fingers and face at half of it.

    `keypoints`: (133, 3); `size`: (height, width) in pixels. Keypoints below `min_score` are omitted.
    """
    canvas = np.zeros(size, np.uint8)
    points = _fixed_point(keypoints)
    confident = keypoints[:, 2] >= min_score
    thick, thin = max(1, round(line_width_px)), max(1, round(line_width_px / 2))
    for limbs, width in ((BODY_LIMBS + FEET_LIMBS, thick), (LEFT_HAND_LIMBS + RIGHT_HAND_LIMBS, thin)):
        for a, b in limbs:
            if confident[a] and confident[b]:
                cv2.line(canvas, points[a], points[b], 1, width, cv2.LINE_8, _SUBPIXEL_BITS)
    for k in range(FACE.start, FACE.stop):
        if confident[k]:
            cv2.line(canvas, points[k], points[k], 1, thin, cv2.LINE_8, _SUBPIXEL_BITS)
    return canvas.astype(np.bool_)


def _fixed_point(keypoints: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Fixed-point coordinates of keypoints (133, 3) for cv2: integers in 1/16 pixel."""
    if keypoints.shape != (len(KEYPOINT_NAMES), 3):
        raise ValueError(f"keypoints of one frame must be {(len(KEYPOINT_NAMES), 3)}, got {keypoints.shape}")
    scored = keypoints[:, 2:] > 0
    if not np.isfinite(keypoints[scored[:, 0], :2]).all():
        raise ValueError("keypoints with a score above 0 must have finite coordinates")
    clipped = np.clip(np.where(scored, keypoints[:, :2], 0), -_MAX_COORDINATE_PX, _MAX_COORDINATE_PX)
    return [(x, y) for x, y in np.rint(clipped * (1 << _SUBPIXEL_BITS)).astype(int).tolist()]


def _line(
    canvas: NDArray[np.uint8], start: tuple[int, int], end: tuple[int, int], colour: tuple[int, int, int], width: int
) -> None:
    cv2.line(canvas, start, end, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _dot(canvas: NDArray[np.uint8], centre: tuple[int, int], colour: tuple[int, int, int], radius_px: float) -> None:
    radius = max(1 << _SUBPIXEL_BITS, round(radius_px * (1 << _SUBPIXEL_BITS)))
    cv2.circle(canvas, centre, radius, colour, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)


def _limb_colour(a: int, b: int) -> tuple[int, int, int]:
    names = (KEYPOINT_NAMES[a], KEYPOINT_NAMES[b])
    sides = {name.partition("_")[0] for name in names} - {"nose"}
    if len(sides) > 1 or all(part.endswith(_TORSO_PARTS) for part in names):
        return _MIDDLE
    palette = _LEFT if sides == {"left"} else _RIGHT
    if any(part in name for name in names for part in _HEAD_PARTS):
        return palette["head"]
    return palette["arm" if any(part in name for name in names for part in _ARM_PARTS) else "leg"]
