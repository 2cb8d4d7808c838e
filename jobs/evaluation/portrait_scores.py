"""Scores of animations of held-out portraits: expression, identity, and motion of the scenery."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.evaluation.portraits import PortraitAnimation
from models.metrics.keypoints import landmark_errors
from models.metrics.pixels import clip_psnr, region_psnr
from models.perception.embedded import EmbeddedFigure
from models.perception.face_landmarks import FaceLandmarks
from models.pose.skeleton import EYES, FACE, MOUTH

logger = logging.getLogger(__name__)

PATCH_SHARE = 0.08
"""Margin around the landmarks of eyes and mouth, relative to the height of the face."""
SCENERY_MARGIN_PX = 4
"""Distance from the character beyond which pixels are scenery."""

Masks = NDArray[np.bool_]
Points = NDArray[np.floating]


def portrait_scores(animations: Iterable[PortraitAnimation | None], figure: EmbeddedFigure) -> dict[str, float]:
    """Mean scores over pairs, without the first frame of each clip, which is the reference; None stands for a pair that
    was refused.

    Each score is also computed of the animation by `jobs.evaluation.portraits.COMPARED`, with the suffix `_compared`,
    and of the reference repeated, with `_repeat`.

    Returns:
        clip_psnr_db: PSNR per clip over whole frames.
        character_psnr_db: the same over the true character's pixels.
        features_psnr_db: the same around its true eyes and mouth.
        expression_error: mean distance of the landmarks of eyes and mouth, which the embedded face network detects in
            the face that `figure` finds, from the true ones, relative to the height of the face. The detected face is
            first moved, turned and scaled onto the true one, so that only its expression counts. `eyes_error`,
            `mouth_error`: those of the eyes and of the mouth alone.
        scenery_motion: mean absolute difference of successive frames, in levels of 255, where the true frames show
            scenery.
        *_truth: the same of the true frames: errors of the detector, motion of the true scenery.
        expression_gain: share by which the error is below that of the compared animation.
        character_gain_db: difference of `character_psnr_db` and that of the compared animation.
        scenery_motion_share, scenery_motion_share_compared: motion relative to the truth's.
        short_side_px: shorter side of the frames in pixels.
        pairs, refused_pairs: number of pairs that were scored, and that were not.

    Raises:
        ValueError: no pair was scored.
    """
    face = FaceLandmarks()
    rows: list[dict[str, float]] = []
    refused = 0
    for animation in animations:
        if animation is None:
            refused += 1
            continue
        rows.append(_scores(animation, figure, face))
        text = ", ".join(f"{name} {value:.3f}" for name, value in rows[-1].items())
        logger.info("pair %d: %s", len(rows) + refused, text)
    if not rows:
        raise ValueError(f"all {refused} pairs were refused; see the warnings")
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {
        **means,
        "expression_gain": 1 - means["expression_error"] / means["expression_error_compared"],
        "character_gain_db": means["character_psnr_db"] - means["character_psnr_compared_db"],
        "scenery_motion_share": means["scenery_motion"] / means["scenery_motion_truth"],
        "scenery_motion_share_compared": means["scenery_motion_compared"] / means["scenery_motion_truth"],
        "pairs": float(len(rows)),
        "refused_pairs": float(refused),
    }


def _scores(animation: PortraitAnimation, figure: EmbeddedFigure, face: FaceLandmarks) -> dict[str, float]:
    truth = np.stack([frame.rgb for frame in animation.truth])
    landmarks = np.stack([frame.keypoints[FACE, :2] for frame in animation.truth])
    characters = np.stack([frame.character_mask for frame in animation.truth])
    features = feature_areas(landmarks, truth.shape[1:3])
    row = {"short_side_px": float(min(truth.shape[1:3]))}
    for suffix, frames in (
        ("", animation.animation_THWC),
        ("_compared", animation.compared_THWC),
        ("_repeat", np.repeat(truth[:1], len(truth), axis=0)),
        ("_truth", truth),
    ):
        if suffix != "_truth":
            row[f"clip_psnr{suffix}_db"] = clip_psnr(frames[1:], truth[1:])
            row[f"character_psnr{suffix}_db"] = region_psnr(frames[1:], truth[1:], characters[1:])
            row[f"features_psnr{suffix}_db"] = region_psnr(frames[1:], truth[1:], features[1:])
        detected = face.landmarks(frames[1:], figure.keypoints(frames[1:]))
        errors = landmark_errors(detected[..., :2], landmarks[1:])
        row[f"expression_error{suffix}"] = float(errors[:, EYES.start :].mean())
        row[f"eyes_error{suffix}"] = float(errors[:, EYES].mean())
        row[f"mouth_error{suffix}"] = float(errors[:, MOUTH].mean())
        row[f"scenery_motion{suffix}"] = scenery_motion(frames, characters)
    return row


def feature_areas(landmarks_TL2: Points, size_px: tuple[int, int]) -> Masks:
    """Boxes (T, H, W) of both eyes and of the mouth, with a margin of `PATCH_SHARE`."""
    areas = np.zeros((len(landmarks_TL2), *size_px), np.bool_)
    for area, landmarks in zip(areas, landmarks_TL2, strict=True):
        margin_px = PATCH_SHARE * np.ptp(landmarks[:, 1])
        for part in (slice(36, 42), slice(42, 48), MOUTH):
            low = np.maximum(np.floor(landmarks[part].min(axis=0) - margin_px), 0).astype(int)
            high = np.ceil(landmarks[part].max(axis=0) + margin_px).astype(int) + 1
            area[low[1] : high[1], low[0] : high[0]] = True
    return areas


def scenery_motion(frames_THWC: NDArray[np.uint8], characters_THW: Masks) -> float:
    """Mean absolute difference of successive frames, in levels of 255, where both frames show scenery."""
    kernel = np.ones((2 * SCENERY_MARGIN_PX + 1,) * 2, np.uint8)
    grown = np.stack([cv2.dilate(mask.view(np.uint8), kernel) for mask in characters_THW]).view(np.bool_)
    scenery = ~(grown[1:] | grown[:-1])
    difference = np.abs(frames_THWC[1:].astype(np.float32) - frames_THWC[:-1]).mean(axis=3)
    return float(difference[scenery].mean())
