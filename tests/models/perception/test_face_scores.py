from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.perception.face_scores import face_scores, opening
from models.pose.skeleton import FACE
from models.puppets import PuppetFrame


class Fixed:
    """Stub for both networks that returns given keypoints for any frames."""

    def __init__(self, keypoints_TK3: np.ndarray) -> None:
        self.keypoints_TK3 = keypoints_TK3

    def keypoints(self, _: np.ndarray) -> np.ndarray:
        return self.keypoints_TK3

    def landmarks(self, _: np.ndarray, __: np.ndarray) -> np.ndarray:
        return self.keypoints_TK3[:, FACE]


def clip(**openings: float) -> tuple[Any, np.ndarray]:
    """Four frames of a face 100 px high whose lips and lids open by the given pixels per frame."""
    keypoints_TK3 = np.zeros((4, 133, 3), np.float32)
    landmarks = keypoints_TK3[:, FACE]
    landmarks[:, 8, 1] = 100
    for lower, name in ((range(65, 68), "lips"), ((40, 41, 46, 47), "lids")):
        landmarks[:, lower, 1] = np.arange(4)[:, None] * openings.get(name, 0.0)
    keypoints_TK3[:, FACE] = landmarks
    nothing = np.zeros((8, 8), np.float32)
    frames = [
        PuppetFrame(
            rgb=np.zeros((8, 8, 3), np.uint8),
            keypoints=keypoints,
            depth=nothing,
            character_mask=nothing > 0,
            object_masks={},
            limb_depths={},
        )
        for keypoints in keypoints_TK3
    ]
    return frames, keypoints_TK3


def test_the_truth_has_no_error_and_full_correlation() -> None:
    frames, truth = clip(lips=4.0, lids=1.0)
    scores = face_scores(Fixed(truth), Fixed(truth), [frames])
    assert len(scores) == 16
    assert all(value == (pytest.approx(1.0) if "correlation" in name else 0) for name, value in scores.items())


def test_errors_are_relative_to_the_height_and_networks_are_apart() -> None:
    frames, truth = clip(lips=4.0, lids=1.0)
    off = truth.copy()
    off[:, FACE.start + 48 :][:, :20, 0] += 3
    off[:, FACE.start + 48 : FACE.start + 68, 1] *= -1
    scores = face_scores(Fixed(off), Fixed(truth), [frames])
    assert scores["face_eyes_error"] == scores["figure_mouth_error"] == 0
    assert scores["face_mouth_error"] >= 0.03
    assert scores["face_lips_correlation_blurred"] == pytest.approx(1.0)  # an opening has no sign


def test_openings_correlate_within_portraits() -> None:
    frames, truth = clip(lips=4.0, lids=1.0)
    wider = truth.copy()
    wider[:, FACE.start + 65 : FACE.start + 68, 1] += 30  # constant: no change within the portrait
    scores = face_scores(Fixed(wider), Fixed(truth), [frames])
    assert scores["face_lips_correlation"] == pytest.approx(1.0)


def test_a_missed_change_and_no_change_have_no_correlation() -> None:
    frames, truth = clip(lips=4.0)
    blinking, blinks = clip(lips=4.0, lids=1.0)
    scores = face_scores(Fixed(truth), Fixed(blinks), [blinking])
    assert scores["face_lids_correlation"] == 0
    assert scores["figure_lids_correlation"] == pytest.approx(1.0)
    assert face_scores(Fixed(truth), Fixed(truth), [frames])["face_lids_correlation"] == 0


def test_opening_is_the_mean_distance_of_pairs() -> None:
    landmarks = np.zeros((1, 68, 2))
    landmarks[0, 1], landmarks[0, 3] = (3, 4), (0, 2)
    assert opening(landmarks, [(0, 1), (2, 3)]).tolist() == [3.5]
