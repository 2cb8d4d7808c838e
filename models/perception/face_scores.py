"""Evaluation of face landmarks on portraits with ground truth, beside those of the figure network."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.perception.embedded import EmbeddedFigure
from models.perception.face_landmarks import FaceLandmarks
from models.pose.skeleton import FACE
from models.puppets import PuppetFrame

EYES, MOUTH = slice(36, 48), slice(48, 68)
"""Face landmarks."""
BLUR_PX = 1.5
"""Standard deviation of the blur, which stands for the softness of animations by small networks."""
LEAST_CHANGE = 0.002
"""Standard deviation of an opening within a clip, relative to the face's height, below which it has no correlation."""

_LIPS = ((61, 67), (62, 66), (63, 65))
_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))

Landmarks = NDArray[np.floating]


def face_scores(
    face: FaceLandmarks, figure: EmbeddedFigure, portraits: Sequence[Sequence[PuppetFrame]]
) -> dict[str, float]:
    """Mean scores of both networks over portraits, sharp and blurred by `BLUR_PX`.

    Returns:
        `<network>_<score><suffix>` for each network ("face", "figure") and suffix ("", "_blurred"), with these scores:
        eyes_error, mouth_error: mean distance of the landmarks from the true ones, relative to the face's height.
        lids_correlation, lips_correlation: Pearson's r of the opening of the eyes and of the mouth with the true one
            within a clip; clips without a change are left out.
    """
    rows: dict[str, list[float]] = {}
    for portrait in portraits:
        frames = np.stack([frame.rgb for frame in portrait])
        truth = np.stack([frame.keypoints[FACE, :2] for frame in portrait])
        for suffix, shown in (("", frames), ("_blurred", _blurred(frames))):
            keypoints = figure.keypoints(shown)
            for name, landmarks in (
                ("face", face.landmarks(shown, keypoints)[..., :2]),
                ("figure", keypoints[:, FACE, :2]),
            ):
                for score, value in _scores(landmarks, truth).items():
                    rows.setdefault(f"{name}_{score}{suffix}", []).append(value)
    return {name: float(np.nanmean(values)) for name, values in rows.items()}


def _scores(landmarks_TL2: Landmarks, truth_TL2: Landmarks) -> dict[str, float]:
    heights_T = np.ptp(truth_TL2[..., 1], axis=1)
    errors = np.linalg.norm(landmarks_TL2 - truth_TL2, axis=-1) / heights_T[:, None]
    openings = {
        name: (opening(landmarks_TL2, pairs) / heights_T, opening(truth_TL2, pairs) / heights_T)
        for name, pairs in (("lids", _LIDS), ("lips", _LIPS))
    }
    return {
        "eyes_error": float(errors[:, EYES].mean()),
        "mouth_error": float(errors[:, MOUTH].mean()),
        **{f"{name}_correlation": _correlation(found, true) for name, (found, true) in openings.items()},
    }


def opening(landmarks_TL2: Landmarks, pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Mean distance (T,) between the landmarks of each pair, in their unit."""
    first, second = np.transpose(pairs)
    distances = np.linalg.norm(landmarks_TL2[:, first] - landmarks_TL2[:, second], axis=-1)
    return np.asarray(distances.mean(axis=1), np.float64)


def _correlation(found_T: NDArray[np.float64], true_T: NDArray[np.float64]) -> float:
    """Pearson's r; 0 if only the truth changes, NaN if it does not change."""
    if true_T.std() < LEAST_CHANGE:
        return float("nan")
    return float(np.corrcoef(found_T, true_T)[0, 1]) if found_T.std() > 0 else 0.0


def _blurred(frames_THWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(cv2.GaussianBlur(frame, (0, 0), BLUR_PX), np.uint8) for frame in frames_THWC])
