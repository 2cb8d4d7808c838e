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
        canvases = uncovered(self._frames[row], self._missing[row])
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


def uncovered(frames_THWC: Frames, missing_THW: Masks) -> Frames:
    """Frames with their missing pixels filled: by the mean of the same pixel in the frames nearby that show it, exact
    where the camera stands still, else from around them. Where nothing nearby shows any of the scene, they are grey.
    """
    filled = frames_THWC.copy()
    num_frames = len(frames_THWC)
    seen_THW1 = ~missing_THW[..., None]
    totals = _running(np.where(seen_THW1, frames_THWC, 0).astype(np.float32))
    counts = _running(seen_THW1.astype(np.float32))
    for t in np.flatnonzero(missing_THW.any((1, 2))).tolist():
        first, last = max(0, t - REACH_FRAMES), min(num_frames, t + REACH_FRAMES + 1)
        count, total = counts[last] - counts[first], totals[last] - totals[first]
        nearby = missing_THW[t] & (count[..., 0] > 0.5)
        filled[t][nearby] = np.rint(total[nearby] / count[nearby]).clip(0, 255).astype(np.uint8)
        never = missing_THW[t] & ~nearby
        if never.all():
            filled[t] = _GREY
        elif never.any():
            filled[t] = cv2.inpaint(filled[t], never.astype(np.uint8), _INPAINT_RADIUS_PX, cv2.INPAINT_TELEA)
    return filled


def _running(values_THWC: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of the first 0, 1, …, T frames."""
    return np.concatenate([np.zeros_like(values_THWC[:1]), np.cumsum(values_THWC, axis=0)])
