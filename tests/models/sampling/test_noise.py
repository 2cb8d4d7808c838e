from __future__ import annotations

import torch

from models.sampling.noise import initial_noise


def test_noise_of_the_first_frames_does_not_depend_on_the_clips_length() -> None:
    assert torch.equal(initial_noise(4, 3, 2, 2, seed=1), initial_noise(4, 9, 2, 2, seed=1)[:, :3])
    assert not torch.equal(initial_noise(4, 3, 2, 2, seed=1), initial_noise(4, 3, 2, 2, seed=2))
