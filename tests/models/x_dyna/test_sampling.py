from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_systems import new_animator, request, tiny_model

from models.sampling.config import WindowConfig
from models.sampling.noise import initial_noise
from models.sampling.schedule import NoiseSchedule
from models.sampling.windows import window_offsets
from models.x_dyna.config import XDynaConfig
from models.x_dyna.implementation import XDynaImplementation
from models.x_dyna.sampling import blur, first_latents

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = XDynaConfig()
SCHEDULE = NoiseSchedule(CONFIG.schedule)


# Where a run begins


@given(seed=st.integers(0, 99), height=st.integers(5, 20), width=st.integers(5, 20))
def test_the_blur_is_opencvs(seed: int, height: int, width: int) -> None:
    x = np.random.default_rng(seed).standard_normal((height, width), dtype=np.float32)
    expected = cv2.GaussianBlur(x, (9, 9), 18, borderType=cv2.BORDER_REFLECT_101)
    torch.testing.assert_close(blur(torch.from_numpy(x)[None])[0], torch.from_numpy(expected), atol=1e-5, rtol=0)


def test_latents_too_small_for_the_blur_are_refused() -> None:
    with pytest.raises(ValueError, match="wider and higher than 4 for the blur, got 9 x 4"):
        blur(torch.zeros(3, 4, 9))


def test_half_of_the_reference_is_blurred_and_all_of_it_noisy() -> None:
    reference = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(0))
    noise = initial_noise(4, 5, 8, 8, seed=3)
    latents = XDynaImplementation().first_latents(noise, reference, CONFIG, num_windows=1, t=961, seed=3)
    clean = first_latents(noise, torch.zeros(4, 5, 8, 8, dtype=torch.bool), reference, SCHEDULE, t=961)
    blurred = first_latents(noise, torch.ones(4, 5, 8, 8, dtype=torch.bool), reference, SCHEDULE, t=961)
    is_clean, is_blurred = latents == clean, latents == blurred
    assert (is_clean ^ is_blurred).all()
    assert 0.4 < is_blurred.float().mean() < 0.6
    alpha = SCHEDULE.alpha_cumprod(961)
    torch.testing.assert_close(clean, alpha**0.5 * reference[:, None].expand_as(noise) + (1 - alpha) ** 0.5 * noise)


def test_a_longer_clip_begins_with_the_same_latents_and_another_seed_with_others() -> None:
    reference = torch.randn(4, 8, 8)

    def latents(num_frames: int, seed: int) -> torch.Tensor:
        noise = initial_noise(4, num_frames, 8, 8, seed=0)
        return XDynaImplementation().first_latents(noise, reference, CONFIG, num_windows=1, t=961, seed=seed)

    torch.testing.assert_close(latents(9, 1)[:, :5], latents(5, 1), atol=0, rtol=0)
    assert not torch.equal(latents(5, 2), latents(5, 1))


# Windows


def test_offsets_depend_on_the_seed_alone() -> None:
    offsets = window_offsets(25, CONFIG.windows, seed=4)
    assert window_offsets(25, CONFIG.windows, seed=4) == offsets
    assert window_offsets(9, CONFIG.windows, seed=4) == offsets[:9]
    assert window_offsets(25, CONFIG.windows, seed=5) != offsets
    assert {*window_offsets(500, CONFIG.windows, seed=4)} == set(range(16))
    assert window_offsets(9, replace(CONFIG.windows, random_offset=False), seed=4) == [0] * 9


def test_random_offsets_need_a_loop() -> None:
    with pytest.raises(ValueError, match="random_offset needs a loop layout, got last_shifted"):
        WindowConfig(size=16, overlap=4, random_offset=True)


def test_every_step_of_a_run_has_the_windows_of_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    animator = new_animator(tiny_model("x-dyna"), window_batch=1)
    make = animator.implementation.denoiser
    starts: dict[int, set[int]] = {}

    def recording(network: Any, conditions: Any) -> Any:
        denoise = make(network, conditions)

        def recorded(x: torch.Tensor, t: int, windows: Any, conditional: Any) -> torch.Tensor:
            starts.setdefault(t, set()).update(window[0] for window in windows)
            assert all((after - before) % 12 == 1 for window in windows for before, after in pairwise(window))
            return denoise(x, t, windows, conditional)

        return recorded

    monkeypatch.setattr(animator.implementation, "denoiser", recording)
    animator.animate(request(12, num_steps=4))
    offsets = window_offsets(4, animator.config.windows, seed=5)
    assert [
        sorted((start - offset) % 12 for start in at) for at, offset in zip(starts.values(), offsets, strict=True)
    ] == [[0, 2, 4, 6, 8, 10]] * 4
    assert len({*offsets}) > 1


@pytest.mark.parametrize(("num_frames", "fallbacks"), [(2, ("short_window=2",)), (3, ()), (4, ())])
def test_a_clip_shorter_than_a_window_is_reported(num_frames: int, fallbacks: tuple[str, ...]) -> None:
    assert new_animator(tiny_model("x-dyna")).animate(request(num_frames, num_steps=1)).fallbacks == fallbacks
    assert new_animator(tiny_model("animate-anyone")).animate(request(num_frames, num_steps=1)).fallbacks == ()
