from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from models.pose.smoothing import smoothed

RATE = 30
HALF_SECONDS = 0.1
NUM_KEYPOINTS = 133


def clip(num_frames: int, *, seed: int = 0, noise_px: float = 1.0, rate: float = RATE) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints of a figure some 200 pixels in size that sways, with noise, and the times of their frames."""
    rng = np.random.default_rng(seed)
    times = np.arange(num_frames) / rate
    keypoints = np.ones((num_frames, NUM_KEYPOINTS, 3), np.float32)
    keypoints[..., :2] = rng.uniform(0, 200, (NUM_KEYPOINTS, 2)) + 20 * np.sin(4 * times)[:, None, None]
    keypoints[..., :2] += rng.normal(0, noise_px, keypoints[..., :2].shape)
    return keypoints, times


def jitter(keypoints: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(keypoints[..., :2], n=2, axis=0), axis=-1).mean())


def test_the_filter_is_that_of_savitzky_and_golay() -> None:
    keypoints, times = clip(20)
    expected = savgol_filter(keypoints[..., :2].astype(np.float64), 7, 2, axis=0)
    result = smoothed(keypoints, times, half_window_seconds=HALF_SECONDS)
    np.testing.assert_allclose(result[..., :2], expected, rtol=1e-5)
    np.testing.assert_array_equal(result[..., 2], keypoints[..., 2])


def test_noise_falls_and_motion_does_not_lag() -> None:
    noisy, times = clip(90, noise_px=1.0)
    truth, _ = clip(90, noise_px=0.0)
    result = smoothed(noisy, times, half_window_seconds=HALF_SECONDS)
    assert jitter(result) < 0.3 * jitter(noisy)
    before, after = (np.linalg.norm((found - truth)[..., :2], axis=-1) for found in (noisy, result))
    assert after.mean() < 0.7 * before.mean()
    # A lag of one frame would be an error of up to 2.7 px.
    np.testing.assert_allclose(smoothed(truth, times, half_window_seconds=HALF_SECONDS), truth, atol=0.1)


@given(
    coefficients=st.lists(st.floats(-1, 1), min_size=6, max_size=6),
    scale=st.floats(0.1, 10),
    num_frames=st.integers(1, 30),
)
def test_constant_acceleration_passes_unchanged(coefficients: list[float], scale: float, num_frames: int) -> None:
    keypoints, times = clip(num_frames, noise_px=0.0)
    motion = np.vander(times, 3) @ np.reshape(coefficients, (3, 2))
    keypoints[..., :2] = scale * (keypoints[0, :, :2] + 20 * motion[:, None])
    result = smoothed(keypoints, times, half_window_seconds=HALF_SECONDS)
    np.testing.assert_allclose(result, keypoints, atol=1e-3 * scale)


def test_runs_do_not_mix() -> None:
    keypoints, times = clip(40)
    hand, shown = slice(91, 112), np.ones(40, bool)
    shown[[15, 16]] = False
    keypoints[~shown, hand] = 0
    result = smoothed(keypoints, times, half_window_seconds=HALF_SECONDS)
    assert not result[~shown, hand].any()
    for run in (slice(0, 15), slice(17, 40)):
        alone = smoothed(keypoints[run], times[run], half_window_seconds=HALF_SECONDS)
        np.testing.assert_array_equal(result[run, hand], alone[:, hand])
    # The body is in view all the time.
    whole = smoothed(keypoints[:, :17], times, half_window_seconds=HALF_SECONDS)
    np.testing.assert_array_equal(result[:, :17], whole)


@pytest.mark.parametrize("seam", ["jump", "gap"])
def test_a_jump_and_a_gap_end_a_run(seam: str) -> None:
    keypoints, times = clip(40)
    if seam == "jump":
        keypoints[20:, :, 0] += 100
    else:
        times[20:] += 2 / RATE
    result = smoothed(keypoints, times, half_window_seconds=HALF_SECONDS)
    for run in (slice(0, 20), slice(20, 40)):
        alone = smoothed(keypoints[run], times[run], half_window_seconds=HALF_SECONDS)
        np.testing.assert_array_equal(result[run], alone)


@pytest.mark.parametrize(("rate", "window"), [(8, None), (15, None), (25, 5), (29.97, 7), (60, 13)])
def test_the_window_is_in_seconds(rate: float, window: int | None) -> None:
    keypoints, times = clip(40, rate=rate)
    xy = keypoints[..., :2]
    expected = xy if window is None else savgol_filter(xy.astype(np.float64), window, 2, axis=0)
    result = smoothed(keypoints, times, half_window_seconds=HALF_SECONDS)
    np.testing.assert_allclose(result[..., :2], expected, rtol=1e-5)


@pytest.mark.parametrize("num_frames", [1, 2, 4, 5, 6])
def test_short_clips(num_frames: int) -> None:
    keypoints, times = clip(num_frames)
    result = smoothed(keypoints, times, half_window_seconds=HALF_SECONDS)
    assert np.isfinite(result).all()
    assert np.array_equal(result, keypoints) == (num_frames < 5)


def test_times_must_match() -> None:
    keypoints, times = clip(6)
    with pytest.raises(ValueError, match="got 5 times for 6 frames"):
        smoothed(keypoints, times[:5], half_window_seconds=HALF_SECONDS)
