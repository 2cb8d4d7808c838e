"""Embedded object masks: segmentation at a box or points, and tracking through the clip by place and colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.finite import check_finite
from models.masks.boxes import bounding_boxes
from models.perception.embedded import load_network, to_input
from models.perception.letterbox import Box, Letterbox
from models.perception.object_colours import ObjectColours, colour_bins
from models.perception.prompts import ObjectPrompt
from models.perception.shipped import OBJECT_CHECKPOINT

ROOM = 2.0
"""Side of the network's square input relative to the longer side of the prompt's box."""
POINT_SHARE = 0.4
"""Side of the square around prompt points without a box, relative to the frame's shorter side."""
POINT_RADIUS_PX = 2.5
"""Standard deviation of a prompt point's Gaussian in pixels of the network's input."""
BOX_SLACK = 0.1
"""Enlargement of a mask's box, relative to its sides, before it prompts the next frame, to allow for motion."""
LEAST_AGREEMENT = 0.1
"""Agreement with the object's colours below which a mask is not of the object (`models.perception.object_colours`)."""
CERTAIN_AGREEMENT = 0.7
"""The same above which the object is not looked for elsewhere in the frame."""
LIKELY_BOXES = 3
"""Number of boxes that are tried elsewhere."""


def prompt_maps(
    side_px: int, box: Box | None, positive: NDArray[np.float32], negative: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Prompt maps (S, S, 2): 1 inside the box; Gaussians of +1 at positive and -1 at negative points.

    Box (with exclusive ends) and points are in pixels of the square.
    """
    maps = np.zeros((side_px, side_px, 2), np.float32)
    if box is not None:
        x0, y0, x1, y1 = (int(np.clip(round(value), 0, side_px)) for value in box)
        maps[y0:y1, x0:x1, 0] = 1.0
    axis = np.arange(side_px, dtype=np.float32)
    for points, sign in ((positive, 1.0), (negative, -1.0)):
        for x, y in points:
            bell_x, bell_y = (np.exp(-0.5 * ((axis - c) / POINT_RADIUS_PX) ** 2) for c in (x, y))
            maps[..., 1] += sign * np.outer(bell_y, bell_x)
    return maps


class EmbeddedObjects:
    """Masks of prompted objects in frames (T, H, W, 3) uint8."""

    def __init__(self, path: Path = OBJECT_CHECKPOINT) -> None:
        self.network = load_network(path)

    def track(self, frames_THWC: NDArray[np.uint8], prompts: Sequence[ObjectPrompt]) -> NDArray[np.bool_]:
        """Masks (T, H, W) of one object, propagated in both directions from its prompted frames.

        Every frame is reached from the nearest prompted frame (the earlier one if two are equally near). It is prompted
        with the box of the last mask, enlarged by `BOX_SLACK`, and where that does not give a mask of the object's
        colours, with the boxes that hold most of them (`models.perception.object_colours`): an object may move far
        between two frames, and reappear elsewhere. Of the masks the one that agrees best is taken; if none agrees, the
        object is hidden. All masks are empty if the prompted frames show nothing.
        """
        masks = np.zeros(frames_THWC.shape[:3], np.bool_)
        ordered = sorted(prompts, key=lambda prompt: prompt.frame)
        for prompt in ordered:
            masks[prompt.frame] = self.segment(frames_THWC[prompt.frame], prompt)
        shown = [prompt.frame for prompt in ordered if masks[prompt.frame].any()]
        if not shown:
            return masks
        colours = ObjectColours([colour_bins(frames_THWC[t]) for t in shown], [masks[t] for t in shown])
        for index, prompt in enumerate(ordered):
            after = ordered[index + 1].frame if index + 1 < len(ordered) else None
            before = ordered[index - 1].frame if index > 0 else None
            last = len(frames_THWC) - 1 if after is None else prompt.frame + (after - prompt.frame) // 2
            first = 0 if before is None else before + (prompt.frame - before) // 2 + 1
            for step, end in ((1, last), (-1, first)):
                box, growth = _box_of(masks[prompt.frame]) or prompt.box, 1.0
                for t in range(prompt.frame + step, end + step, step):
                    masks[t], agreement = self._found(frames_THWC[t], box, colours, growth)
                    box = _box_of(masks[t]) or box
                    if agreement > CERTAIN_AGREEMENT:
                        growth = colours.growth(masks[t])
        return masks

    def track_all(self, frames_THWC: NDArray[np.uint8], objects: Sequence[Sequence[ObjectPrompt]]) -> NDArray[np.bool_]:
        """Masks (N, T, H, W) of several objects."""
        masks = np.zeros((len(objects), *frames_THWC.shape[:3]), np.bool_)
        for index, prompts in enumerate(objects):
            masks[index] = self.track(frames_THWC, prompts)
        return masks

    def segment(self, frame_HWC: NDArray[np.uint8], prompt: ObjectPrompt) -> NDArray[np.bool_]:
        """Mask (H, W) of the object in the prompted frame.

        A prompt of points alone is run twice, the second time with the box of the first mask.
        """
        box = prompt.box
        if box is None:
            share = POINT_SHARE / ROOM * min(frame_HWC.shape[:2])
            (x0, y0), (x1, y1) = prompt.positive.min(0), prompt.positive.max(0)
            middle_x, middle_y, half = (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0, share) / 2
            around = (middle_x - half, middle_y - half, middle_x + half, middle_y + half)
            mask = self._predict(frame_HWC, around, None, prompt.positive, prompt.negative)
            box = _box_of(mask)
            if box is None:
                return mask
        return self._predict(frame_HWC, box, box, prompt.positive, prompt.negative)

    def _found(
        self, frame_HWC: NDArray[np.uint8], last_box: Box | None, colours: ObjectColours, growth: float
    ) -> tuple[NDArray[np.bool_], float]:
        """Mask (H, W) of the object and its agreement with the colours; empty where none agrees."""
        bins = colour_bins(frame_HWC)
        no_points = np.zeros((0, 2), np.float32)
        found, best = np.zeros(frame_HWC.shape[:2], np.bool_), LEAST_AGREEMENT

        def look_at(boxes: Sequence[Box]) -> None:
            nonlocal found, best
            for box in boxes:
                mask = self._predict(frame_HWC, box, box, no_points, no_points)
                agreement = colours.agreement(bins, mask, growth=growth)
                if agreement > best:
                    found, best = mask, agreement

        look_at([] if last_box is None else [last_box])
        if best <= CERTAIN_AGREEMENT:
            look_at(colours.likely_boxes(bins, LIKELY_BOXES))
        return found, best

    @torch.inference_mode()
    def _predict(
        self,
        frame_HWC: NDArray[np.uint8],
        around: Box,
        box: Box | None,
        positive: NDArray[np.float32],
        negative: NDArray[np.float32],
    ) -> NDArray[np.bool_]:
        height, width = frame_HWC.shape[:2]
        side = self.network.config.input_px
        letterbox = Letterbox.around(around, width_px=width, height_px=height, side_px=side, room=ROOM)
        in_square: Box | None = None
        if box is not None:
            corners = letterbox.points_to_square(np.array(box, np.float32).reshape(2, 2) - 0.5) + 0.5
            in_square = (float(corners[0, 0]), float(corners[0, 1]), float(corners[1, 0]), float(corners[1, 1]))
        maps = prompt_maps(side, in_square, letterbox.points_to_square(positive), letterbox.points_to_square(negative))
        prompted = torch.from_numpy(maps).permute(2, 0, 1)[None]
        images = torch.cat([to_input(letterbox.cut(frame_HWC)[None]), prompted], 1)
        x2, y4 = self.network.features(images.contiguous(memory_format=torch.channels_last))
        logits = self.network.mask(self.network.dense(x2, y4))[0].numpy()
        check_finite(logits, "object mask of the embedded network")
        mask = np.zeros((height, width), np.bool_)
        mask[letterbox.y0 : letterbox.y1, letterbox.x0 : letterbox.x1] = letterbox.map_to_region(logits) > 0
        return _largest_part(mask)


def _box_of(mask: NDArray[np.bool_]) -> Box | None:
    x0, y0, x1, y1 = (float(value) for value in bounding_boxes(mask[None])[0])
    if x1 == 0:
        return None
    slack_x, slack_y = BOX_SLACK * (x1 - x0) / 2, BOX_SLACK * (y1 - y0) / 2
    height, width = mask.shape
    return max(x0 - slack_x, 0), max(y0 - slack_y, 0), min(x1 + slack_x, width), min(y1 + slack_y, height)


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove components smaller than a tenth of the largest; an occluding hand may split an object into several."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    kept: NDArray[np.bool_] = (areas >= areas.max() / 10)[labels]
    return kept
