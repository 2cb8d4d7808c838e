"""The noise that sampling begins with."""

from __future__ import annotations

import torch
from torch import Tensor


def initial_noise(channels: int, num_frames: int, height: int, width: int, *, seed: int) -> Tensor:
    """(channels, num_frames, height, width) float32 on the CPU, whatever the device: frame after frame, so that the
    first frames of a longer clip begin with the same noise.
    """
    generator = torch.Generator().manual_seed(seed)
    frames = [torch.randn((channels, height, width), generator=generator) for _ in range(num_frames)]
    return torch.stack(frames, 1)
