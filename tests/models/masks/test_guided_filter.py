from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.masks.guided_filter import apply_coefficients, guided_coefficients

RADIUS_PX, EPSILON = 3, 1e-4


def filtered(guide: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return apply_coefficients(guided_coefficients(guide, mask, radius_px=RADIUS_PX, epsilon=EPSILON), guide)


def by_definition(guide: np.ndarray, mask: np.ndarray, y: int, x: int) -> float:
    """Equations 10 to 13 of the paper, for three colours, at one pixel far from the border."""
    values = []
    for window_y in range(y - RADIUS_PX, y + RADIUS_PX + 1):
        for window_x in range(x - RADIUS_PX, x + RADIUS_PX + 1):
            window = np.s_[
                window_y - RADIUS_PX : window_y + RADIUS_PX + 1, window_x - RADIUS_PX : window_x + RADIUS_PX + 1
            ]
            colours, levels = guide[window].reshape(-1, 3) / 255, mask[window].ravel()
            covariance = np.cov(colours.T, bias=True) + EPSILON * np.eye(3)
            slope = np.linalg.solve(covariance, (colours * levels[:, None]).mean(0) - colours.mean(0) * levels.mean())
            values.append(slope @ (guide[y, x] / 255) + levels.mean() - slope @ colours.mean(0))
    return float(np.mean(values))


def test_the_filter_is_the_papers() -> None:
    rng = np.random.default_rng(0)
    guide = rng.integers(0, 256, (30, 40, 3), np.uint8)
    mask = rng.uniform(size=(30, 40)).astype(np.float32)
    result = filtered(guide, mask)
    for y, x in ((15, 20), (12, 9), (17, 30)):
        assert result[y, x] == pytest.approx(by_definition(guide, mask, y, x), abs=1e-3)


def disc(side: int, colours: tuple[tuple[int, int, int], tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """A picture (S, S, 3) of a disc, with some noise, and its mask."""
    y, x = np.mgrid[:side, :side]
    truth = np.hypot(y - side / 2, x - side / 2) < side / 3
    noise = np.random.default_rng(1).normal(0, 3, (side, side, 3))
    picture = (np.where(truth[..., None], *colours) + noise).clip(0, 255).astype(np.uint8)
    return picture, truth


# The second pair has one grey level: only its colours tell the disc from what is around it.
@pytest.mark.parametrize("colours", [((200, 180, 160), (60, 70, 90)), ((150, 80, 90), (60, 120, 120))])
def test_a_small_mask_gets_the_edges_of_a_large_picture(
    colours: tuple[tuple[int, int, int], tuple[int, int, int]],
) -> None:
    picture, truth = disc(240, colours)
    small = cv2.resize(picture, (80, 80), interpolation=cv2.INTER_AREA)
    rough = cv2.GaussianBlur(cv2.resize(truth.astype(np.float32), (80, 80), interpolation=cv2.INTER_AREA), (0, 0), 1.5)
    rough = np.roll(rough, 1, axis=1)  # and beside its place
    coefficients = guided_coefficients(small, rough, radius_px=RADIUS_PX, epsilon=EPSILON)
    enlarged = np.stack([cv2.resize(plane, (240, 240)) for plane in coefficients])
    refined = apply_coefficients(enlarged, picture) >= 0.5
    unrefined = cv2.resize(rough, (240, 240)) >= 0.5
    assert (refined != truth).sum() < 0.4 * (unrefined != truth).sum()


def test_a_flat_picture_only_blurs_the_mask() -> None:
    mask = np.zeros((40, 40), np.float32)
    mask[:, 20:] = 1
    result = filtered(np.full((40, 40, 3), 90, np.uint8), mask)
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result >= 0.5, mask >= 0.5)
