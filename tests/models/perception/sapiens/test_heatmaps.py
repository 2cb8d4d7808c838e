from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.perception.sapiens.heatmaps import decode

HEIGHT, WIDTH = 64, 48


def bell(x: float, y: float, *, sigma: float = 3.0, peak: float = 0.9) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))).astype(np.float32)


def decoded(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points, scores = decode(torch.from_numpy(maps)[None])
    return points[0].numpy(), scores[0].numpy()


def by_the_book(heatmap: np.ndarray) -> np.ndarray:
    """Reference decoding of one keypoint: blur the whole map, rescale, logarithm, numerical Newton step."""
    y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
    blurred = cv2.GaussianBlur(np.pad(heatmap, 5), (11, 11), 0)[5:-5, 5:-5]
    log = np.pad(np.log(np.clip(blurred * heatmap.max() / blurred.max(), 1e-3, 50)), 1, mode="edge").astype(np.float64)
    at = lambda dx, dy: log[y + 1 + dy, x + 1 + dx]  # noqa: E731
    gradient = np.array([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)]) / 2
    cross = (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1)) / 2
    hessian = np.array([[at(1, 0) - 2 * at(0, 0) + at(-1, 0), cross], [cross, at(0, 1) - 2 * at(0, 0) + at(0, -1)]])
    return np.array([x, y]) - np.linalg.inv(hessian + np.finfo(np.float32).eps * np.eye(2)) @ gradient


@settings(max_examples=40, deadline=None)
@given(st.floats(8, WIDTH - 9), st.floats(8, HEIGHT - 9), st.floats(2, 4), st.floats(0.1, 1))
def test_a_gaussian_is_decoded_with_subpixel_accuracy(x: float, y: float, sigma: float, peak: float) -> None:
    points, scores = decoded(bell(x, y, sigma=sigma, peak=peak)[None])
    assert points[0] == pytest.approx([x, y], abs=0.02)
    assert scores[0] == pytest.approx(peak, rel=0.07)


def test_refinement_matches_the_published_method_at_any_position() -> None:
    rng = np.random.default_rng(0)
    places = [(0, 0), (WIDTH - 1, HEIGHT - 1), (0.4, 30.2), (20.7, 0.3), (46.9, 20), (3, 4), (24.4, 31.6)]
    maps = np.stack([bell(x, y) + 0.01 * rng.random((HEIGHT, WIDTH), np.float32) for x, y in places])
    points, _ = decoded(maps)
    for decoded_point, heatmap in zip(points, maps, strict=True):
        assert decoded_point == pytest.approx(by_the_book(heatmap), abs=2e-3)


@pytest.mark.parametrize("value", [0.0, 0.2, -1.0])
def test_a_flat_map_gives_finite_points_in_the_map(value: float) -> None:
    points, scores = decoded(np.full((3, HEIGHT, WIDTH), value, np.float32))
    assert np.isfinite(points).all()
    assert (points >= -3).all()
    assert scores == pytest.approx([value] * 3)


def test_frames_and_keypoints_keep_their_places() -> None:
    where = np.array([[[10, 12], [30, 40]], [[20, 50], [8, 9]]], float)
    maps = np.stack([[bell(*point) for point in frame] for frame in where])
    points, scores = decode(torch.from_numpy(maps))
    assert np.abs(points.numpy() - where).max() < 0.02
    assert scores.shape == (2, 2)
