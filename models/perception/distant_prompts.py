"""Tracking of objects into a clip from prompts in frames before it, with bounded memory for any distance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes
from models.perception.prompts import ObjectPrompt

Frames = NDArray[np.uint8]
Track = Callable[[Frames, Sequence[Sequence[ObjectPrompt]]], NDArray[np.bool_]]
"""Frames (T, H, W, 3) and the prompts of N objects to masks (N, T, H, W)."""

LEAD_FRAMES = 48
"""Maximum number of frames before the clip that are in memory at once."""


def track_from_before(
    track: Track,
    clip_THWC: Frames,
    objects: Sequence[Sequence[ObjectPrompt]],
    frames_before: Callable[[int, int], Frames],
) -> NDArray[np.bool_]:
    """Masks (N, T, H, W) of N objects in a clip, each prompted in one frame before it.

    The clip is tracked together with at most `LEAD_FRAMES` frames before it. Objects prompted earlier are tracked up to
    there in pieces of that length; the next piece is prompted with the last visible mask of the one before. An object
    that is in no frame of a piece after its prompt is lost, and its masks are empty.

    Args:
        track: the tracker.
        clip_THWC: frames of the clip.
        objects: one or more prompts of each object, all in the same frame; its number is negative, -1 for the frame
            before the clip.
        frames_before: number of the first frame, and how many -> frames of the clip's size.
    """
    pending = dict(enumerate(objects))
    while pending and _first(pending) < -LEAD_FRAMES:
        pending = _after_piece(track, pending, frames_before)
    masks = np.zeros((len(objects), *clip_THWC.shape[:3]), np.bool_)
    if pending:
        first = _first(pending)
        frames = np.concatenate([frames_before(first, -first), clip_THWC])
        masks[list(pending)] = track(frames, _from(first, pending))[:, -first:]
    return masks


def _after_piece(
    track: Track, pending: Mapping[int, Sequence[ObjectPrompt]], frames_before: Callable[[int, int], Frames]
) -> dict[int, Sequence[ObjectPrompt]]:
    """Prompts nearer to the clip, after a piece that begins at the earliest one; without that object if it is lost."""
    first = _first(pending)
    reached = {index: prompts for index, prompts in pending.items() if prompts[0].frame < first + LEAD_FRAMES}
    tracked = track(frames_before(first, LEAD_FRAMES), _from(first, reached))
    later = dict(pending)
    for (index, prompts), masks in zip(reached.items(), tracked, strict=True):
        shown = first + np.flatnonzero(masks.any((1, 2)))
        if len(shown) and shown[-1] > prompts[0].frame:
            later[index] = [prompt_of_mask(masks[shown[-1] - first], frame=int(shown[-1]))]
        elif prompts[0].frame == first:
            del later[index]
    return later


def _first(objects: Mapping[int, Sequence[ObjectPrompt]]) -> int:
    return min(prompts[0].frame for prompts in objects.values())


def _from(first: int, objects: Mapping[int, Sequence[ObjectPrompt]]) -> list[list[ObjectPrompt]]:
    return [[dataclasses.replace(prompt, frame=prompt.frame - first) for prompt in each] for each in objects.values()]


def prompt_of_mask(mask: NDArray[np.bool_], *, frame: int) -> ObjectPrompt:
    """Prompt for the object with this mask (H, W), not empty: its box, and the point farthest from its outline."""
    x0, y0, x1, y1 = (float(value) for value in bounding_boxes(mask[None])[0])
    depth = cv2.distanceTransform(np.pad(mask, 1).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), mask.shape)
    return ObjectPrompt(
        frame=frame,
        box=(x0, y0, x1, y1),
        positive=np.array([[x, y]], np.float32),
        negative=np.zeros((0, 2), np.float32),
    )
