"""Pose maps: skeleton images that condition networks, pixel-identical to those of the published checkpoints.

All follow OpenPose's style: a filled ellipse per limb at 0.6 of its colour, a disc per joint, rainbow fingers with blue
joints, white face landmarks. The presets differ in omitted parts and in line widths.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.openpose import FACE, FEET, LEFT_HAND, RIGHT_HAND, to_openpose

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawingPreset:
    """Parts of a skeleton to draw, and their widths in pixels, independent of the size of the pose map.

    `face`: draw the 68 face landmarks. `eyes_and_ears`: draw the body's eyes and ears with their limbs. `feet`: draw a
    limb from each ankle to the toes.
    `limb_half_width_px`, `hand_line_width_px`: None for a width that depends on the length of the limb or bone.
    `blue_first`: channel order blue, green, red, as in training code that writes RGB images with OpenCV.
    """

    face: bool
    eyes_and_ears: bool = True
    feet: bool = False
    limb_half_width_px: int | None = 4
    joint_radius_px: int = 4
    hand_line_width_px: int | None = 2
    hand_joint_radius_px: int = 4
    face_radius_px: int = 3
    blue_first: bool = False


PRESETS: Mapping[str, DrawingPreset] = MappingProxyType(
    {
        "moore": DrawingPreset(face=True),
        "musepose": DrawingPreset(face=False, limb_half_width_px=None, hand_line_width_px=None, hand_joint_radius_px=3),
        "unianimate": DrawingPreset(face=False, feet=True, blue_first=True),
        "animate-x": DrawingPreset(face=False, feet=True, blue_first=True),
        "x-dyna": DrawingPreset(face=False, eyes_and_ears=False),
        # "moore" with thinner strokes, for the embedded checkpoints with frames of about 128 pixels.
        "embedded": DrawingPreset(
            face=True,
            limb_half_width_px=2,
            joint_radius_px=2,
            hand_line_width_px=1,
            hand_joint_radius_px=1,
            face_radius_px=1,
        ),
        # "x-dyna" with strokes as thin as those of "embedded".
        "embedded-no-head": DrawingPreset(
            face=False,
            eyes_and_ears=False,
            limb_half_width_px=2,
            joint_radius_px=2,
            hand_line_width_px=1,
            hand_joint_radius_px=1,
        ),
    }
)
"""Preset by name. Each published checkpoint requires the preset it was trained with."""

# Pairs of OpenPose body points; points 18 and 19 are the left and right toes.
_LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
    *((13, 18), (10, 19)),
)
_EYES_AND_EARS = range(14, 18)
_TOES = range(18, 20)
_BODY_COLOURS: tuple[Colour, ...] = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0)),
    *((0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255)),
    *((170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85), (170, 255, 255), (255, 255, 0)),
)
_LIMB_BRIGHTNESS = 0.6
_BONES = tuple((0 if k % 4 == 1 else k - 1, k) for k in range(1, 21))
_BONE_COLOURS: tuple[Colour, ...] = tuple(
    (round(255 * r), round(255 * g), round(255 * b))
    for r, g, b in (colorsys.hsv_to_rgb(bone / len(_BONES), 1.0, 1.0) for bone in range(len(_BONES)))
)
_HAND_JOINT: Colour = (0, 0, 255)
_FACE_POINT: Colour = (255, 255, 255)
# A limb shorter than the k-th of these lengths, in pixels, is k + 1 pixels wide; longer limbs are 8 pixels wide.
_LENGTHS_PX = (5, 10, 20, 40, 80, 160, 320)
# cv2 takes 32-bit integers; coordinates of gross mispredictions are clipped to this range.
_MAX_COORDINATE_PX = 16_000.0


def draw_pose(
    keypoints: NDArray[np.float32] | NDArray[np.float64],
    *,
    height_px: int,
    width_px: int,
    preset: DrawingPreset,
    min_score: float = CONFIDENT_SCORE,
) -> NDArray[np.uint8]:
    """Draw one skeleton on black: uint8 (height, width, 3), RGB unless the preset is `blue_first`.

    `keypoints`: (133, 3), x and y in pixels of the pose map. Points below `min_score` and their limbs are omitted;
    limbs that cross the image border are clipped. As in the published code, hand and face landmarks with x < 1 or y < 1
    are omitted.

    Raises:
        ValueError: the keypoints have another shape, or a point of at least `min_score` is not finite.
    """
    points = to_openpose(keypoints.astype(np.float64), min_score=min_score)
    visible = points[:, 2] >= min_score
    if not np.isfinite(points[visible, :2]).all():
        raise ValueError(f"keypoints that score at least {min_score} must have finite coordinates")
    xy = np.clip(np.where(visible[:, None], points[:, :2], 0.0), -_MAX_COORDINATE_PX, _MAX_COORDINATE_PX)
    canvas = np.zeros((height_px, width_px, 3), np.uint8)
    _draw_body(canvas, *_with_toes(xy, visible, preset), preset)
    pixels: NDArray[np.int64] = xy.astype(np.int64)
    inside = visible & (pixels > 0).all(axis=1)
    for hand in (LEFT_HAND, RIGHT_HAND):
        _draw_hand(canvas, pixels[hand].tolist(), inside[hand].tolist(), preset)
    if preset.face:
        for x, y in pixels[FACE][inside[FACE]].tolist():
            cv2.circle(canvas, (x, y), preset.face_radius_px, _FACE_POINT, cv2.FILLED)
    return canvas


def draw_poses(
    keypoints: NDArray[np.float32] | NDArray[np.float64],
    *,
    height_px: int,
    width_px: int,
    preset: DrawingPreset,
    min_score: float = CONFIDENT_SCORE,
) -> NDArray[np.uint8]:
    """Draw the skeletons (T, 133, 3) of a clip: uint8 (T, height, width, 3). See `draw_pose`."""
    drawings = np.empty((len(keypoints), height_px, width_px, 3), np.uint8)
    for drawing, frame in zip(drawings, keypoints, strict=True):
        drawing[:] = draw_pose(frame, height_px=height_px, width_px=width_px, preset=preset, min_score=min_score)
    return drawings


def _with_toes(
    xy: NDArray[np.floating], visible: NDArray[np.bool_], preset: DrawingPreset
) -> tuple[list[list[float]], list[bool]]:
    """The body's 20 points and a mask of those to draw; a toe point is the midpoint of the big and the small toe."""
    feet, feet_visible = xy[FEET].reshape(2, 3, 2), visible[FEET].reshape(2, 3)
    points = np.concatenate([xy[: FEET.start], feet[:, :2].mean(axis=1)])
    drawn = np.concatenate([visible[: FEET.start], feet_visible[:, :2].all(axis=1)])
    drawn[_EYES_AND_EARS] &= preset.eyes_and_ears
    drawn[_TOES] &= preset.feet
    return points.tolist(), drawn.tolist()


def _draw_body(canvas: NDArray[np.uint8], points: list[list[float]], drawn: list[bool], preset: DrawingPreset) -> None:
    for (a, b), colour in zip(_LIMBS, _BODY_COLOURS, strict=False):
        if not (drawn[a] and drawn[b]):
            continue
        (x_a, y_a), (x_b, y_b) = points[a], points[b]
        length_px = math.hypot(x_a - x_b, y_a - y_b)
        half_width_px = preset.limb_half_width_px or _width_by_length(length_px)
        ellipse = cv2.ellipse2Poly(
            (int((x_a + x_b) / 2), int((y_a + y_b) / 2)),
            (int(length_px / 2), half_width_px),
            int(math.degrees(math.atan2(y_a - y_b, x_a - x_b))),
            0,
            360,
            1,
        )
        dimmed = (int(_LIMB_BRIGHTNESS * c) for c in colour)
        cv2.fillConvexPoly(canvas, ellipse, _channels(tuple(dimmed), preset))
    for (x, y), is_drawn, colour in zip(points, drawn, _BODY_COLOURS, strict=True):
        if is_drawn:
            cv2.circle(canvas, (int(x), int(y)), preset.joint_radius_px, _channels(colour, preset), cv2.FILLED)


def _draw_hand(canvas: NDArray[np.uint8], points: list[list[int]], drawn: list[bool], preset: DrawingPreset) -> None:
    for (a, b), colour in zip(_BONES, _BONE_COLOURS, strict=True):
        if drawn[a] and drawn[b]:
            width_px = preset.hand_line_width_px or _width_by_length(math.dist(points[a], points[b]))
            cv2.line(canvas, points[a], points[b], _channels(colour, preset), width_px)
    for point, is_drawn in zip(points, drawn, strict=True):
        if is_drawn:
            cv2.circle(canvas, point, preset.hand_joint_radius_px, _channels(_HAND_JOINT, preset), cv2.FILLED)


def _width_by_length(length_px: float) -> int:
    return 1 + sum(length_px >= limit for limit in _LENGTHS_PX)


def _channels(colour: tuple[int, ...], preset: DrawingPreset) -> tuple[int, ...]:
    return colour[::-1] if preset.blue_first else colour
