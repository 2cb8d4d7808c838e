"""Scores of portraits whose animation is known: the truth, and the reference repeated."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from jobs.evaluation.portrait_scores import portrait_scores
from jobs.evaluation.portraits import PortraitAnimation
from models.perception.embedded import EmbeddedFigure
from models.puppets import render, sample_portrait


@pytest.fixture(scope="module")
def animation() -> PortraitAnimation:
    """The truth, compared with the reference repeated."""
    truth = tuple(render(sample_portrait(3, split="heldout"), 5.0, 8))
    frames = np.stack([frame.rgb for frame in truth])
    return PortraitAnimation(
        truth=truth,
        driving_THWC=frames,
        face_THWC6=np.zeros((*frames.shape[:3], 6), np.uint8),
        animation_THWC=frames,
        compared_THWC=np.repeat(frames[:1], len(frames), axis=0),
    )


def test_true_frames_have_small_errors_and_the_reference_repeated_larger_ones(animation: PortraitAnimation) -> None:
    scores = portrait_scores([animation, None], EmbeddedFigure())
    for part in ("expression", "eyes", "mouth"):
        error = scores[f"{part}_error"]
        assert error == scores[f"{part}_error_truth"] < 0.025
        assert scores[f"{part}_error_compared"] == scores[f"{part}_error_repeat"] > 1.5 * error
    assert scores["expression_gain"] > 0.3
    assert scores["character_psnr_db"] == scores["clip_psnr_db"] == 100 > scores["clip_psnr_repeat_db"]
    assert scores["character_gain_db"] == 100 - scores["character_psnr_repeat_db"]
    assert scores["scenery_motion_share"] == 1
    assert scores["scenery_motion_share_compared"] == 0
    assert (scores["pairs"], scores["refused_pairs"], scores["short_side_px"]) == (1, 1, 144)


def test_blurred_frames_have_small_errors_too(animation: PortraitAnimation) -> None:
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in animation.animation_THWC])
    scores = portrait_scores([replace(animation, animation_THWC=soft)], EmbeddedFigure())
    assert scores["expression_error"] < 0.025 < scores["expression_error_repeat"]


def test_refused_pairs_alone_have_no_scores() -> None:
    with pytest.raises(ValueError, match="all 2 pairs were refused"):
        portrait_scores([None, None], EmbeddedFigure())
