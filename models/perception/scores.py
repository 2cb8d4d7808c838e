"""Evaluation of embedded perception on puppets with ground truth, with the classes that the stages run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes
from models.perception.embedded import EmbeddedFigure
from models.perception.embedded_objects import EmbeddedObjects
from models.perception.prompts import ObjectPrompt
from models.pose.pck import correct
from models.pose.skeleton import GROUPS, LIMBS
from models.puppets import PuppetFrame

DEPTH_MARGIN = 0.05
"""Minimum difference of two limbs' true mean depths, in body heights, to evaluate their order: about an arm's
thickness."""
CLEAR_DEPTH_MARGIN = 0.1
MIN_LIMB_PIXELS = 6
_PAIRED_LIMBS = tuple(name for name in LIMBS if name not in ("shoulders", "hips"))
_NOTHING = np.zeros((0, 2), np.float32)


def figure_scores(figure: EmbeddedFigure, puppets: Sequence[PuppetFrame]) -> dict[str, float]:
    """Scores of keypoints, presence, character mask and limb depth order, and milliseconds per frame.

    PCK includes all of the character's keypoints within the frame, also occluded ones; `pck_visible` only visible ones.
    """
    keypoints, masks, depths, seconds = _figure_results(figure, puppets)
    truth = np.stack([puppet.keypoints for puppet in puppets])
    right, present, visible = correct(keypoints, truth)
    ious = [iou(mask, puppet.character_mask) for mask, puppet in zip(masks, puppets, strict=True)]
    order, clear_order = (
        np.concatenate([limb_order(d, puppet, margin=margin) for d, puppet in zip(depths, puppets, strict=True)])
        for margin in (DEPTH_MARGIN, CLEAR_DEPTH_MARGIN)
    )
    return {
        "pck": _share(right, present),
        "pck_visible": _share(right, visible),
        "pck_hidden": _share(right, present & ~visible),
        **{f"pck_{name}": _share(right[:, group], present[:, group]) for name, group in GROUPS.items()},
        "presence_recall": _share(keypoints[..., 2] >= 0.5, present),
        "presence_false_share": _share(keypoints[..., 2] >= 0.5, ~present),
        "character_iou": float(np.mean(ious)),
        "character_iou_worst_tenth": float(np.mean(np.sort(ious)[: max(1, len(ious) // 10)])),
        "limb_depth_order": float(order.mean()) if len(order) else 0.0,
        "limb_depth_order_clear": float(clear_order.mean()) if len(clear_order) else 0.0,
        "limb_pairs": float(len(order)),
        **{f"{name}_ms_per_frame": 1000 * value / len(puppets) for name, value in seconds.items()},
    }


def limb_order(depth: NDArray[np.float32], puppet: PuppetFrame, *, margin: float = DEPTH_MARGIN) -> NDArray[np.bool_]:
    """Whether the predicted depth order is correct, for each pair of limbs at least `margin` apart in true depth.

    The predicted depth of a limb is the mean over a line between its two keypoints, 1/40 of the character's size thick
    and clipped to the character's mask; limbs with an occluded end or fewer than `MIN_LIMB_PIXELS` pixels are excluded.
    If another part occludes the middle of a limb, its depth is measured instead: the true depth map scores 0.976 at a
    margin of 0.05, and 0.999 at 0.1.
    """
    places = _limb_pixels(puppet)
    names = [name for name in _PAIRED_LIMBS if name in places and name in puppet.limb_depths]
    true = np.array([puppet.limb_depths[name] for name in names])
    predicted = np.array([depth[places[name]].mean() for name in names])
    first, second = np.triu_indices(len(names), 1)
    clear = np.abs(true[first] - true[second]) >= margin
    same_order: NDArray[np.bool_] = (
        np.sign(true[first] - true[second]) == np.sign(predicted[first] - predicted[second])
    )[clear]
    return same_order


def _limb_pixels(puppet: PuppetFrame) -> dict[str, NDArray[np.bool_]]:
    present = puppet.keypoints[puppet.keypoints[:, 2] > 0, :2]
    if len(present) == 0:
        return {}
    thickness = max(1, round(float(np.ptp(present, axis=0).max()) / 40))
    places = {}
    for name in _PAIRED_LIMBS:
        ends = puppet.keypoints[list(LIMBS[name])]
        if (ends[:, 2] < 2).any():
            continue
        line = np.zeros(puppet.depth.shape, np.uint8)
        (x0, y0), (x1, y1) = np.rint(ends[:, :2]).astype(int)
        cv2.line(line, (int(x0), int(y0)), (int(x1), int(y1)), 1, thickness)
        place = (line > 0) & puppet.character_mask
        if place.sum() >= MIN_LIMB_PIXELS:
            places[name] = place
    return places


def object_scores(objects: EmbeddedObjects, puppets: Sequence[PuppetFrame]) -> dict[str, float]:
    """Mean IoU of objects of at least 0.1 % of the frame, prompted in the same frame by a box and by one point."""
    by_box, by_point = [], []
    for puppet in puppets:
        for mask in puppet.object_masks.values():
            if mask.mean() < 0.001:
                continue
            x0, y0, x1, y1 = (float(value) for value in bounding_boxes(mask[None])[0])
            boxed = ObjectPrompt(frame=0, box=(x0, y0, x1, y1), positive=_NOTHING, negative=_NOTHING)
            pointed = ObjectPrompt(frame=0, box=None, positive=_middle(mask)[None], negative=_NOTHING)
            by_box.append(iou(objects.segment(puppet.rgb, boxed), mask))
            by_point.append(iou(objects.segment(puppet.rgb, pointed), mask))
    return {
        "object_iou_box": float(np.mean(by_box)) if by_box else 0.0,
        "object_iou_point": float(np.mean(by_point)) if by_point else 0.0,
        "objects": float(len(by_box)),
    }


def tracking_score(objects: EmbeddedObjects, clips: Sequence[Sequence[PuppetFrame]]) -> float:
    """Mean IoU of tracked objects, prompted by a box in the first frame in which they cover at least 0.1 %."""
    ious: list[float] = []
    for clip in clips:
        frames = np.stack([puppet.rgb for puppet in clip])
        for name in clip[0].object_masks:
            truth = np.stack([puppet.object_masks[name] for puppet in clip])
            shown = np.flatnonzero(truth.mean((1, 2)) >= 0.001)
            if len(shown) == 0:
                continue
            x0, y0, x1, y1 = (float(value) for value in bounding_boxes(truth[shown[:1]])[0])
            prompt = ObjectPrompt(frame=int(shown[0]), box=(x0, y0, x1, y1), positive=_NOTHING, negative=_NOTHING)
            masks = objects.track(frames, [prompt])
            ious.extend(iou(masks[t], truth[t]) for t in shown)
    return float(np.mean(ious)) if ious else 0.0


def iou(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union; 1 if both masks are empty."""
    union = int((mask | truth).sum())
    return int((mask & truth).sum()) / union if union else 1.0


def _figure_results(
    figure: EmbeddedFigure, puppets: Sequence[PuppetFrame]
) -> tuple[NDArray[np.float32], list[NDArray[np.bool_]], list[NDArray[np.float32]], Mapping[str, float]]:
    """Keypoints (T, 133, 3), masks and depths in order, and seconds by signal; frames are batched by size."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, puppet in enumerate(puppets):
        by_size.setdefault(puppet.rgb.shape, []).append(index)
    keypoints: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(puppets)
    masks: list[NDArray[np.bool_]] = [np.empty(0, np.bool_)] * len(puppets)
    depths: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(puppets)
    seconds = {"pose": 0.0, "mask": 0.0, "depth": 0.0}
    for indices in by_size.values():
        frames = np.stack([puppets[index].rgb for index in indices])
        times = [time.perf_counter()]
        poses = figure.keypoints(frames)
        times.append(time.perf_counter())
        inside = figure.character_mask(frames, poses)
        times.append(time.perf_counter())
        depth = figure.depth(frames)
        times.append(time.perf_counter())
        for name, spent in zip(seconds, np.diff(times), strict=True):
            seconds[name] += float(spent)
        for place, index in enumerate(indices):
            keypoints[index], masks[index], depths[index] = poses[place], inside[place], depth[place]
    return np.stack(keypoints), masks, depths, seconds


def _middle(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(2,) x, y of the pixel farthest from the mask's edge, like a user's click."""
    distance = cv2.distanceTransform(np.pad(mask.view(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return np.array([x, y], np.float32)


def _share(counted: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(counted[among].mean()) if among.any() else 0.0
