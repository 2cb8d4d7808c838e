"""The draft of a character set into a scene: the scene without its own character, the reference moved limb by limb into
each pose, and the objects before it.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from models.animation.clip import ClipBatch
from models.animation.signals import AGNOSTIC_MASK, OBJECT_FRAMES, OBJECT_MASK, REFERENCE_MASK, SCENE_FRAMES
from models.puppet_models.draft import Draft, Frames
from models.puppet_models.limb_warp import LimbWarp

Masks = NDArray[np.bool_]

REACH_FRAMES = 16
"""Frames before and after one in which its hidden background is looked for."""
_INPAINT_RADIUS_PX = 3
_GREY = 128


class SceneDraft(Draft):
    """See `Draft`. The draft begins with a picture of the scene in place of the reference's background."""

    def __init__(self, clip: ClipBatch, *, batch: int) -> None:
        super().__init__(clip, keep_lengths=False, batch=batch)
        self._frames, self._missing = clip.signal(SCENE_FRAMES), clip.signal(AGNOSTIC_MASK)
        self._objects, self._object_masks = clip.signal(OBJECT_FRAMES), clip.signal(OBJECT_MASK)
        self._reference_masks = clip.signal(REFERENCE_MASK)

    def pictures(self, row: int) -> Iterator[Frames]:
        """Pictures (n, H, W, 3) of a clip, in order."""
        canvases = uncovered(self._frames[row], self._missing[row], self._object_masks[row])
        given_T = ~self._missing[row].any((1, 2))
        warp = LimbWarp(self._references[row], self._keypoints[row], mask_HW=self._reference_masks[row])
        scale = warp.scale_to(self._poses[row])
        for first in range(0, len(canvases), self._batch):
            part = slice(first, first + self._batch)
            pictures = canvases[part]
            warp.onto(pictures, self._poses[row, part], scale=scale)
            before = self._object_masks[row, part]
            pictures[before] = self._objects[row, part][before]
            # A frame of which nothing is missing is given whole.
            pictures[given_T[part]] = self._frames[row, part][given_T[part]]
            yield pictures


def uncovered(frames_THWC: Frames, missing_THW: Masks, objects_THW: Masks) -> Frames:
    """Frames with their missing pixels filled by the mean of the same pixel in the frames nearby that show it, exact
    where the camera stands still; else from around them. Where nothing nearby shows any of the scene, they are grey.

    A pixel that most frames nearby show as an object's is filled from these. Otherwise objects move there, and only
    what is shown of the scenery fills it.
    """
    filled = frames_THWC.copy()
    num_frames = len(frames_THWC)
    sums, counts = (np.zeros((2, *frames_THWC.shape[1:3], channels), np.int32) for channels in (3, 1))

    def add(t: int, sign: int) -> None:
        for kind, shown in enumerate((~missing_THW[t] & ~objects_THW[t], ~missing_THW[t] & objects_THW[t])):
            sums[kind][shown] += sign * frames_THWC[t][shown].astype(np.int32)
            counts[kind][shown] += sign

    for t in range(min(REACH_FRAMES, num_frames)):
        add(t, 1)
    for t in range(num_frames):
        first, end = max(t - REACH_FRAMES, 0), min(t + REACH_FRAMES + 1, num_frames)
        if t + REACH_FRAMES < num_frames:
            add(t + REACH_FRAMES, 1)
        if first > 0:
            add(first - 1, -1)
        if not missing_THW[t].any():
            continue
        is_object = 2 * counts[1] > end - first
        count, total = (np.where(is_object, values[1], values[0]) for values in (counts, sums))
        nearby = missing_THW[t] & (count[..., 0] > 0)
        filled[t][nearby] = np.rint(total[nearby] / count[nearby]).astype(np.uint8)
        never = missing_THW[t] & ~nearby
        _fill_from_around(filled[t], never, objects_THW[t] & ~is_object[..., 0])
    return filled


def _fill_from_around(frame_HWC: Frames, never_HW: Masks, moving_HW: Masks) -> None:
    """Inpaint pixels that no frame shows, in place, from what is around them except moving objects."""
    if (never_HW | moving_HW).all():
        frame_HWC[never_HW] = _GREY
    elif never_HW.any():
        unknown = (never_HW | moving_HW).view(np.uint8)
        frame_HWC[never_HW] = cv2.inpaint(frame_HWC, unknown, _INPAINT_RADIUS_PX, cv2.INPAINT_TELEA)[never_HW]
