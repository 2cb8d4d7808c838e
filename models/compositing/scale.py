"""Random scale augmentation: a character is enlarged, with its objects, and set back into its clip.

After Animate Anyone 2 (arXiv 2502.06145, 4.1), so that the shape-agnostic mask, which is that of the original size, is
sometimes smaller than the character. The paper gives neither anchor nor range; here every frame is enlarged about the
point where the character stands, which keeps it on its floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes

_FILL_STEP = 4
"""Pixels along a side of those that the blur behind a character is computed of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recomposed:
    """A clip with its character and objects enlarged.

    `frames_THWC`: uint8, all of it. `scene_THWC`: uint8, without the enlarged character. `character_THW`,
    `objects_THW`: bool, the enlarged masks. `anchors_T2`: float32 x, y of the points that stay.
    """

    frames_THWC: NDArray[np.uint8]
    scene_THWC: NDArray[np.uint8]
    character_THW: NDArray[np.bool_]
    objects_THW: NDArray[np.bool_]
    anchors_T2: NDArray[np.float32]


def ground_points(character_THW: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Points (T, 2) x, y on which a character stands: below the centre of its area, at the bottom of its box.

    A frame without a character has the point of the nearest frame with one; without any, it is the middle of the
    frame's lower edge.
    """
    num_frames, height, width = character_THW.shape
    bottoms = bounding_boxes(character_THW)[:, 3]
    columns = character_THW.sum(axis=1)
    counts = columns.sum(axis=1)
    shown = np.flatnonzero(counts)
    if not len(shown):
        return np.tile(np.array([(width - 1) / 2, height - 1], np.float32), (num_frames, 1))
    points = np.stack([(columns[shown] @ np.arange(width)) / counts[shown], bottoms[shown] - 1], axis=1)
    nearest = np.abs(np.arange(num_frames)[:, None] - shown).argmin(axis=1)
    on_ground: NDArray[np.float32] = points[nearest].astype(np.float32)
    return on_ground


def scale_about(
    keypoints_TK3: NDArray[np.float32], scale: float, anchors_T2: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Keypoints (T, K, 3) enlarged about one point of each frame."""
    scaled = keypoints_TK3.copy()
    anchors = anchors_T2[:, None]
    scaled[..., :2] = anchors + (keypoints_TK3[..., :2] - anchors) * np.float32(scale)
    return scaled


def recompose(
    frames_THWC: NDArray[np.uint8],
    character_THW: NDArray[np.bool_],
    objects_THW: NDArray[np.bool_],
    scale: float,
) -> Recomposed:
    """Enlarge the character and the objects of a clip over its own frames.

    What they covered before and cover no longer is filled with a blur of its surroundings. `scene_THWC` has the objects
    at their new size: a network that saw them at both would have to paint over what it is to keep.

    Raises:
        ValueError: `scale` is below 1.
    """
    if scale < 1:
        raise ValueError(f"the scale must be at least 1, got {scale}: a smaller character would bare the background")
    out = Recomposed(
        frames_THWC=frames_THWC.copy(),
        scene_THWC=frames_THWC.copy(),
        character_THW=np.empty_like(character_THW),
        objects_THW=np.empty_like(objects_THW),
        anchors_T2=ground_points(character_THW),
    )
    for t, anchor in enumerate(out.anchors_T2):
        matrix = np.array([[scale, 0, (1 - scale) * anchor[0]], [0, scale, (1 - scale) * anchor[1]]])
        large = _warped(frames_THWC[t], matrix)
        character, objects = (
            _warped(masks[t].view(np.uint8) * np.uint8(255), matrix) >= 128 for masks in (character_THW, objects_THW)
        )
        bared = character_THW[t] | objects_THW[t]
        background = background_of(frames_THWC[t], bared)
        for canvas, pasted in ((out.frames_THWC[t], character | objects), (out.scene_THWC[t], objects)):
            cv2.copyTo(background, (bared & ~pasted).view(np.uint8), canvas)
            cv2.copyTo(large, pasted.view(np.uint8), canvas)
        out.character_THW[t], out.objects_THW[t] = character, objects
    return out


def background_of(picture_HWC: NDArray[np.uint8], hole_HW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A blur of the picture without the pixels of a hole, coarser where only distant pixels are left.

    Without a hole, or with nothing around it, it is the blur of the whole picture.
    """
    height, width = hole_HW.shape
    kept = np.ones_like(hole_HW) if hole_HW.all() else ~hole_HW
    size_px = (max(1, width // _FILL_STEP), max(1, height // _FILL_STEP))
    shown = cv2.copyTo(picture_HWC, kept.view(np.uint8)).astype(np.float32)
    colour, weight = (
        cv2.resize(image, size_px, interpolation=cv2.INTER_AREA) for image in (shown, kept.astype(np.float32))
    )
    # Colours weighted by what is kept, and the weights: each level adds what the finer ones lack.
    levels = [np.dstack([colour, weight])]
    while max(levels[-1].shape[:2]) > 1:
        levels.append(cv2.pyrDown(levels[-1]))
    colours = levels[-1][..., :3] / levels[-1][..., 3:]
    for level in reversed(levels[:-1]):
        coarse = cv2.resize(colours, level.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        colours = level[..., :3] + (1 - level[..., 3:]) * coarse.reshape(*level.shape[:2], 3)
    blur: NDArray[np.uint8] = cv2.resize(np.rint(colours).astype(np.uint8), (width, height))
    return blur


def _warped(picture: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    warped: NDArray[np.uint8] = cv2.warpAffine(picture, matrix, picture.shape[1::-1], flags=cv2.INTER_LINEAR)
    return warped
