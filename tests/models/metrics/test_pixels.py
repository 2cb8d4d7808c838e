from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from golden import optional_golden

from models.metrics.pixels import IDENTICAL_DB, clip_psnr, psnr, region_psnr


def test_psnr_is_the_published_corrected_one() -> None:
    folder = optional_golden("metrics")
    pairs = json.loads((folder / "case.json").read_text())["pairs"]
    compared = 0
    for name, scores in pairs.items():
        found, truth = (cv2.imread(str(folder / f"{name}.{kind}.png")) for kind in ("gen", "gt"))
        if found.shape != truth.shape:
            continue
        assert psnr(found[None], truth[None])[0] == pytest.approx(scores["psnr_star"], abs=1e-9), name
        compared += 1
    assert compared >= 5


def test_psnr_is_per_frame() -> None:
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    frames = truth.copy()
    frames[1] += 51  # a fifth of the range
    np.testing.assert_allclose(psnr(frames, truth), [IDENTICAL_DB, 20 * np.log10(5)])


def test_clip_psnr_is_of_the_mean_error_over_frames() -> None:
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    frames = truth.copy()
    frames[1] += 51
    assert clip_psnr(frames, truth) == pytest.approx(20 * np.log10(5) + 10 * np.log10(2))
    assert clip_psnr(frames[1:], truth[1:]) == pytest.approx(psnr(frames[1:], truth[1:])[0])
    assert clip_psnr(truth, truth) == IDENTICAL_DB


@pytest.mark.parametrize(
    ("frames", "truth"),
    [
        (np.zeros((1, 4, 4, 3), np.uint8), np.zeros((2, 4, 4, 3), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)),
        (np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4, 3))),
    ],
)
def test_incompatible_frames_are_refused(frames: np.ndarray, truth: np.ndarray) -> None:
    for measure in (psnr, clip_psnr):
        with pytest.raises(ValueError, match="frames"):
            measure(frames, truth)


def test_region_psnr_is_of_the_pixels_of_the_region() -> None:
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    frames = truth.copy()
    frames[1, :2] += 51
    region = np.zeros((2, 4, 4), bool)
    region[1, :2] = True
    assert region_psnr(frames, truth, region) == pytest.approx(20 * np.log10(5))
    assert region_psnr(frames, truth, ~region) == IDENTICAL_DB
    everywhere = np.ones_like(region)
    assert region_psnr(frames, truth, everywhere) == pytest.approx(clip_psnr(frames, truth))
    barely = np.zeros((300, 32, 32, 3), np.uint8)
    barely[0, 0, 0, 0] = 1
    assert region_psnr(barely, np.zeros_like(barely), np.ones(barely.shape[:3], bool)) == IDENTICAL_DB


def test_region_psnr_needs_a_region() -> None:
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="empty"):
        region_psnr(frames, frames, np.zeros((2, 4, 4), bool))
    with pytest.raises(ValueError, match="one size"):
        region_psnr(frames, frames, np.ones((1, 4, 4), bool))
