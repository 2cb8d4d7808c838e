from __future__ import annotations

import torch
from tiny_animate_x import TINY, UNIANIMATE_TINY

from models.animate_x.denoiser import first_latents
from models.animate_x.implementation import AnimateXImplementation
from models.sampling.noise import initial_noise
from models.sampling.schedule import NoiseSchedule


def test_sampling_begins_at_the_reference_where_there_is_a_noise_prior() -> None:
    noise, offset, reference = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 1, 1), torch.randn(4, 2, 2)
    torch.testing.assert_close(first_latents(noise, offset, reference, TINY, num_windows=1), noise + 0.1 * offset)
    schedule = NoiseSchedule(UNIANIMATE_TINY.schedule)
    for num_windows, t in ((1, 949), (3, 939)):
        alpha = schedule.alpha_cumprod(t)
        expected = alpha**0.5 * reference[:, None] + (1 - alpha) ** 0.5 * noise + 0.1 * offset
        latents = first_latents(noise, offset, reference, UNIANIMATE_TINY, num_windows=num_windows)
        torch.testing.assert_close(latents, expected)


def test_offset_noise_is_a_stream_of_its_own() -> None:
    noise = initial_noise(4, 3, 2, 2, seed=1)
    latents = AnimateXImplementation().first_latents(noise, torch.zeros(4, 2, 2), TINY, num_windows=1, t=999, seed=1)
    offset = (latents - noise) / TINY.offset_noise
    torch.testing.assert_close(offset, initial_noise(4, 3, 1, 1, seed=1 + 2**32).expand_as(noise), atol=1e-5, rtol=1e-5)
