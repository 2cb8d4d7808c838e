"""Initial noise of sampling."""

from __future__ import annotations

import torch
from torch import Tensor


def initial_noise(channels: int, num_frames: int, height: int, width: int, *, seed: int) -> Tensor:
    """Standard normal noise (channels, num_frames, height, width), float32 on the CPU.

    Generated on the CPU for equal results on all devices, and frame by frame, so that a longer clip starts with the
    same noise.
    """
    generator = torch.Generator().manual_seed(seed)
    frames = [torch.randn((channels, height, width), generator=generator) for _ in range(num_frames)]
    return torch.stack(frames, 1)
