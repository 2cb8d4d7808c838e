from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.metrics.pixels import IDENTICAL_DB, clip_psnr, psnr

GOLDEN = Path(__file__).resolve().parents[4] / "shared" / "golden" / "metrics"


@pytest.mark.skipif(not GOLDEN.exists(), reason="the golden metrics are not beside this checkout")
def test_psnr_matches_the_published_corrected_values() -> None:
    pairs = json.loads((GOLDEN / "case.json").read_text())["pairs"]
    compared = 0
    for name, scores in pairs.items():
        frames, truth = (cv2.imread(str(GOLDEN / f"{name}.{kind}.png")) for kind in ("gen", "gt"))
        if frames.shape != truth.shape:
            continue
        assert psnr(frames[None], truth[None])[0] == pytest.approx(scores["psnr_star"], abs=1e-9), name
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
