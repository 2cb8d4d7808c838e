from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from golden import optional_golden

from models.metrics.pixels import IDENTICAL_DB, clip_psnr, psnr


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


def test_every_frame_has_its_own() -> None:
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    found = truth.copy()
    found[1] += 51  # a fifth of the range
    np.testing.assert_allclose(psnr(found, truth), [IDENTICAL_DB, 20 * np.log10(5)])


def test_a_clips_is_that_of_its_mean_error_whichever_frames_are_equal() -> None:
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    found = truth.copy()
    found[1] += 51
    assert clip_psnr(found, truth) == pytest.approx(20 * np.log10(5) + 10 * np.log10(2))
    assert clip_psnr(found[1:], truth[1:]) == pytest.approx(psnr(found[1:], truth[1:])[0])
    assert clip_psnr(truth, truth) == IDENTICAL_DB


@pytest.mark.parametrize(
    ("found", "truth"),
    [
        (np.zeros((1, 4, 4, 3), np.uint8), np.zeros((2, 4, 4, 3), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)),
        (np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 4, 3))),
    ],
)
def test_what_cannot_be_compared_is_refused(found: np.ndarray, truth: np.ndarray) -> None:
    for measure in (psnr, clip_psnr):
        with pytest.raises(ValueError, match="frames"):
            measure(found, truth)
