from __future__ import annotations

import json
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from golden import GOLDEN, optional_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metric_pictures import picture_pair
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from models.metrics.pixels import (
    IDENTICAL_DB,
    clip_psnr,
    l1,
    l1_disco,
    psnr,
    psnr_wrapped,
    region_psnr,
    resized_like,
    ssim,
)

Frames = NDArray[np.uint8]
Scores = dict[str, float]

GENERATED = json.loads((GOLDEN / "metrics_generated" / "case.json").read_text())["pairs"]
MEASURES: dict[str, Callable[[Frames, Frames], NDArray[np.float64]]] = {
    "l1": l1,
    "l1_disco": l1_disco,
    "psnr": psnr,
    "psnr_wrapped": psnr_wrapped,
    "ssim": ssim,
}


def disco_scores(animation: Frames, truth: Frames) -> Scores:
    """Measures of one picture by DisCo's names."""
    animation = resized_like(animation[None], truth[None])
    return {name: float(measure(animation, truth[None])[0]) for name, measure in MEASURES.items()}


def check_scores(scores: Scores, expected: Scores) -> None:
    for name in ("psnr", "psnr_wrapped"):
        assert scores[name] == expected[name], name
    assert scores["l1_disco"] == pytest.approx(expected["l1_disco"], rel=1e-12, abs=0)
    assert scores["ssim"] == pytest.approx(expected["ssim"], rel=1e-11, abs=0)


@pytest.mark.parametrize("name", GENERATED)
def test_measures_are_those_of_disco_on_generated_pictures(name: str) -> None:
    case = GENERATED[name]
    check_scores(disco_scores(*picture_pair(name, case)), case["scores"])


def test_measures_are_those_of_disco_on_its_pictures() -> None:
    folder = optional_golden("metrics")
    case = json.loads((folder / "case.json").read_text())
    scores = {}
    for name, expected in case["pairs"].items():
        pictures = (cv2.imread(str(folder / f"{name}.{kind}.png")) for kind in ("gen", "gt"))
        scores[name] = disco_scores(*(np.ascontiguousarray(picture[..., ::-1]) for picture in pictures))
        old = {"l1_disco": expected["l1"], "psnr": expected["psnr_star"], "psnr_wrapped": expected["psnr"]}
        check_scores(scores[name], {**old, "ssim": expected["ssim"]})
    assert scores["black_white"]["psnr_wrapped"] == case["pairs"]["black_white"]["psnr"] > 48
    average = case["set_average"]
    for ours, theirs in (("psnr", "psnr_star"), ("psnr_wrapped", "psnr"), ("ssim", "ssim"), ("l1_disco", "l1")):
        mean = np.mean([scores[name][ours] for name in average["files"]])
        assert mean == pytest.approx(average[theirs], rel=1e-12)


def test_psnr_is_per_frame() -> None:
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    frames = truth.copy()
    frames[1] += 51  # a fifth of the range
    np.testing.assert_allclose(psnr(frames, truth), [IDENTICAL_DB, 20 * np.log10(5)])


def test_differences_that_wrap_to_zero_count_as_identical() -> None:
    truth = np.zeros((1, 4, 4, 3), np.uint8)
    frames = truth + np.uint8(16)  # its square is 256
    assert psnr_wrapped(frames, truth)[0] == IDENTICAL_DB
    assert psnr(frames, truth)[0] < 25


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_measures_are_their_definitions(data: st.DataObject) -> None:
    shape = (2, *data.draw(st.tuples(st.integers(7, 12), st.integers(7, 12))), 3)
    a, b = (data.draw(hnp.arrays(np.uint8, shape)) for _ in range(2))
    difference = a.astype(np.float64) - b
    absolute = np.abs(difference).mean(axis=(1, 2, 3))
    squared = (difference**2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(l1(a, b), absolute / 255, rtol=1e-13)
    np.testing.assert_allclose(l1_disco(a, b), absolute / (shape[1] * shape[2]), rtol=1e-13)
    with np.errstate(divide="ignore"):
        expected = np.where(squared > 0, 10 * np.log10(255**2 / squared), IDENTICAL_DB)
    np.testing.assert_allclose(psnr(a, b), expected, rtol=1e-13, atol=1e-12)
    grey = [[cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames] for frames in (a, b)]
    expected = [structural_similarity(x, y) for x, y in zip(*grey, strict=True)]
    np.testing.assert_allclose(ssim(a, b), expected, rtol=1e-9, atol=1e-12)
    for measure in MEASURES.values():
        np.testing.assert_array_equal(measure(a, b), measure(b, a))


def test_sums_are_exact_for_large_frames() -> None:
    black = np.zeros((1, 2160, 4096, 3), np.uint8)
    assert l1(black + np.uint8(255), black)[0] == 1
    assert psnr(black + np.uint8(255), black)[0] == 0
    assert psnr_wrapped(black + np.uint8(3), black)[0] == psnr(black + np.uint8(3), black)[0]


def test_frames_that_are_views_are_measured_as_copies() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (2, 20, 24, 6), dtype=np.uint8)[:, ::2, 3:, ::2] for _ in range(2))
    for measure in MEASURES.values():
        np.testing.assert_array_equal(measure(a, b), measure(a.copy(), b.copy()))


def test_ssim_is_undefined_below_its_window() -> None:
    frames = np.zeros((2, 6, 40, 3), np.uint8)
    np.testing.assert_array_equal(ssim(frames, frames), [np.nan, np.nan])
    np.testing.assert_array_equal(ssim(frames[:, :, :7].repeat(2, 1)[:, :7], frames[:, :, :7].repeat(2, 1)[:, :7]), 1)


def test_black_clips_are_identical_clips() -> None:
    black = np.zeros((3, 16, 16, 3), np.uint8)
    np.testing.assert_array_equal(psnr(black, black), IDENTICAL_DB)
    np.testing.assert_array_equal(psnr_wrapped(black, black), IDENTICAL_DB)
    np.testing.assert_array_equal(ssim(black, black), 1)
    np.testing.assert_array_equal(l1(black, black), 0)


def test_only_other_sizes_are_resized() -> None:
    frames = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    assert resized_like(frames, frames) is frames
    resized = resized_like(frames, np.zeros((5, 7, 9, 3), np.uint8))
    assert resized.shape == (2, 7, 9, 3)
    np.testing.assert_array_equal(resized[1], cv2.resize(frames[1], (9, 7)))
    assert resized_like(frames[..., :1], np.zeros((1, 7, 9, 1), np.uint8)).shape == (2, 7, 9, 1)


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
        (np.zeros((1, 0, 4, 3), np.uint8), np.zeros((1, 0, 4, 3), np.uint8)),
    ],
)
def test_incompatible_frames_are_refused(frames: np.ndarray, truth: np.ndarray) -> None:
    for measure in (*MEASURES.values(), clip_psnr):
        with pytest.raises(ValueError, match="frames"):
            measure(frames, truth)


def test_ssim_needs_rgb() -> None:
    grey = np.zeros((1, 8, 8, 1), np.uint8)
    with pytest.raises(ValueError, match="RGB"):
        ssim(grey, grey)


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
