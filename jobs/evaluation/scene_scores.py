"""Scores of animations in held-out scenes."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.evaluation.heldout import KEYPOINT_SHARE
from jobs.evaluation.scene_baselines import placed_truth
from jobs.evaluation.scenes import ComparedAnimation
from models.metrics.pixels import clip_psnr, region_psnr
from models.perception.embedded import EmbeddedFigure
from models.perception.scores import iou
from models.pose.pck import correct

logger = logging.getLogger(__name__)

MARGIN_SHARE = 0.15
"""Distance from both characters beyond which only scenery is left, relative to the shorter side of the frame."""

Masks = NDArray[np.bool_]


def scene_scores(animations: Iterable[ComparedAnimation | None], figure: EmbeddedFigure) -> dict[str, float]:
    """Mean scores over pairs; None stands for a pair that was refused.

    Returns:
        clip_psnr_db: PSNR per clip of the animation, over whole frames.
        clip_psnr_driving_db, clip_psnr_paste_db, clip_psnr_animate_anyone_db: the same of the driving video itself, and
            of what the animation is compared with (`ComparedAnimation`).
        gain_over_paste_db, gain_over_animate_anyone_db: differences of the first and these.
        clip_psnr_placed_truth_db: the same of the true frames with their character moved to the placed skeleton
            (`placed_truth`), which no appearance can exceed by much.
        object_psnr_db, object_psnr_paste_db: PSNR over the pixels of the objects in the true frames, of the animation
            and of the paste.
        seen_object_psnr_db: the same over those of them that are also visible in the driving video.
        scenery_psnr_db: PSNR beyond `MARGIN_SHARE` of both characters; identical pixels count as 100 dB.
        keypoints, keypoints_truth, keypoints_skeleton: share of the character's keypoints within `KEYPOINT_SHARE` that
            the embedded pose network detects in the animation, in the true frames, and of the placed skeleton.
        leakage: IoU of the drawn character's silhouette with that of the driving character, minus the same with its own
            true one; the embedded network's mask is the silhouette.
        clip_psnr_exact_masks_db, leakage_exact_masks: of the animation with exact masks in place of shape-agnostic
            ones.
        short_side_px: shorter side of the frames in pixels.
        pairs, refused_pairs: number of pairs that were scored, and that were not.

        A score that no pair has is left out.

    Raises:
        ValueError: no pair was scored.
    """
    rows: list[dict[str, float]] = []
    refused = 0
    for animation in animations:
        if animation is None:
            refused += 1
            continue
        rows.append(_scores(animation, figure))
        text = ", ".join(f"{name} {value:.2f}" for name, value in rows[-1].items())
        logger.info("pair %d: %s", len(rows) + refused, text)
    if not rows:
        raise ValueError(f"all {refused} pairs were refused; see the warnings")
    names = dict.fromkeys(name for row in rows for name in row)
    means = {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
    return {**means, "pairs": float(len(rows)), "refused_pairs": float(refused)}


def _scores(animation: ComparedAnimation, figure: EmbeddedFigure) -> dict[str, float]:
    truth = animation.truth
    driving, target = (np.stack([frame.rgb for frame in frames]) for frames in (truth.driving, truth.target))
    characters = [np.stack([frame.character_mask for frame in frames]) for frames in (truth.driving, truth.target)]
    seen, objects = (
        np.stack([np.logical_or.reduce([*frame.object_masks.values()]) for frame in frames])
        for frames in (truth.driving, truth.target)
    )
    result = animation.animation_THWC
    row = {
        "short_side_px": float(min(target.shape[1:3])),
        "clip_psnr_db": clip_psnr(result, target),
        "clip_psnr_driving_db": clip_psnr(driving, target),
        "clip_psnr_paste_db": clip_psnr(animation.paste_THWC, target),
        "clip_psnr_animate_anyone_db": clip_psnr(animation.animate_anyone_THWC, target),
        "clip_psnr_exact_masks_db": clip_psnr(animation.with_exact_masks_THWC, target),
        "clip_psnr_placed_truth_db": clip_psnr(placed_truth(truth.target, animation.skeleton_keypoints), target),
    }
    for name in ("paste", "animate_anyone"):
        row[f"gain_over_{name}_db"] = row["clip_psnr_db"] - row[f"clip_psnr_{name}_db"]
    scenery = ~grown(characters[0] | characters[1])
    for name, frames, region in (
        ("scenery_psnr", result, scenery),
        ("object_psnr", result, objects),
        ("object_psnr_paste", animation.paste_THWC, objects),
        ("seen_object_psnr", result, objects & seen),
    ):
        if region.any():
            row[f"{name}_db"] = region_psnr(frames, target, region)
    keypoints = np.stack([frame.keypoints for frame in truth.target])
    detected = figure.keypoints(result)
    for suffix, found in (
        ("", detected),
        ("_truth", figure.keypoints(target)),
        ("_skeleton", animation.skeleton_keypoints),
    ):
        right, present, _ = correct(found, keypoints, share=KEYPOINT_SHARE)
        row[f"keypoints{suffix}"] = float(right[present].mean())
    with_exact_masks = animation.with_exact_masks_THWC
    row["leakage"] = leakage(figure.character_mask(result, detected), *characters)
    drawn = figure.character_mask(with_exact_masks, figure.keypoints(with_exact_masks))
    row["leakage_exact_masks"] = leakage(drawn, *characters)
    return row


def leakage(drawn_THW: Masks, driving_THW: Masks, true_THW: Masks) -> float:
    """Shape leakage, -1 to 1: IoU of a drawn silhouette with the driving character's, minus that with its true one."""
    return iou(drawn_THW, driving_THW) - iou(drawn_THW, true_THW)


def grown(masks_THW: Masks) -> Masks:
    """Masks with a margin of `MARGIN_SHARE` around them."""
    reach_px = round(MARGIN_SHARE * min(masks_THW.shape[1:]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1,) * 2)
    return np.stack([cv2.dilate(mask.view(np.uint8), kernel) for mask in masks_THW]).view(np.bool_)
