"""Evaluation of face landmarks on portraits with ground truth, beside those of the figure network."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.perception.embedded import EmbeddedFigure
from models.perception.face_landmarks import FaceLandmarks
from models.pose.skeleton import EYES, FACE, MOUTH
from models.puppets import PuppetFrame

BLUR_PX = 1.5
"""Standard deviation of the blur, which stands for the softness of animations by small networks."""

_LIPS = ((61, 67), (62, 66), (63, 65))
_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))

Landmarks = NDArray[np.floating]


def face_scores(
    face: FaceLandmarks, figure: EmbeddedFigure, portraits: Sequence[Sequence[PuppetFrame]]
) -> dict[str, float]:
    """Scores of both networks over the frames of portraits, sharp and blurred by `BLUR_PX`.

    Returns:
        `<network>_<score><suffix>` for each network ("face", "figure") and suffix ("", "_blurred"), with these scores:
        eyes_error, mouth_error: mean distance of the landmarks from the true ones, relative to the face's height.
        lids_correlation, lips_correlation: Pearson's r of the opening of the eyes and of the mouth with the true one,
            both relative to the face's height and without their means over each portrait; 0 if one never changes.
    """
    found: dict[str, list[Landmarks]] = {}
    truth = [np.stack([frame.keypoints[FACE, :2] for frame in portrait]) for portrait in portraits]
    for portrait in portraits:
        frames = np.stack([frame.rgb for frame in portrait])
        for suffix, shown in (("", frames), ("_blurred", _blurred(frames))):
            keypoints = figure.keypoints(shown)
            found.setdefault(f"figure{suffix}", []).append(keypoints[:, FACE, :2])
            found.setdefault(f"face{suffix}", []).append(face.landmarks(shown, keypoints)[..., :2])
    scores = {}
    for name, clips in found.items():
        network, _, suffix = name.partition("_")
        for score, value in _scores(clips, truth).items():
            scores[f"{network}_{score}{suffix and '_' + suffix}"] = value
    return scores


def _scores(found: Sequence[Landmarks], truth: Sequence[Landmarks]) -> dict[str, float]:
    """Scores of the landmarks (T, 68, 2) of each clip."""
    heights = [np.ptp(clip[..., 1], axis=1)[:, None] for clip in truth]
    triples = list(zip(found, truth, heights, strict=True))
    errors = np.concatenate([np.linalg.norm(clip - true, axis=-1) / height for clip, true, height in triples])

    def correlation(pairs: Sequence[tuple[int, int]]) -> float:
        changes = [
            [_change(opening(clip, pairs) / height[:, 0]) for clip, _, height in triples],
            [_change(opening(true, pairs) / height[:, 0]) for _, true, height in triples],
        ]
        x, y = (np.concatenate(clips) for clips in changes)
        return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else 0.0

    return {
        "eyes_error": float(errors[:, EYES].mean()),
        "mouth_error": float(errors[:, MOUTH].mean()),
        "lids_correlation": correlation(_LIDS),
        "lips_correlation": correlation(_LIPS),
    }


def opening(landmarks_TL2: Landmarks, pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Mean distance (T,) between the landmarks of each pair, in their unit."""
    first, second = np.transpose(pairs)
    distances = np.linalg.norm(landmarks_TL2[:, first] - landmarks_TL2[:, second], axis=-1)
    return np.asarray(distances.mean(axis=1), np.float64)


def _change(values_T: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values_T - values_T.mean(), np.float64)


def _blurred(frames_THWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(cv2.GaussianBlur(frame, (0, 0), BLUR_PX), np.uint8) for frame in frames_THWC])
