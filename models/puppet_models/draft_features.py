"""Features of a draft's latents, added to a network's pose features."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DraftFeatures(nn.Conv2d):
    """One convolution from draft latents to pose features. Zero-initialised, as in ControlNet."""

    def __init__(self, latent_channels: int, out_channels: int) -> None:
        super().__init__(latent_channels, out_channels, 3, padding=1)
        nn.init.zeros_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, latents_BCFHW: Tensor) -> Tensor:
        """(B, out_channels, F, H, W)."""
        frames = latents_BCFHW.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        features: Tensor = super().forward(frames)
        return features.reshape(len(latents_BCFHW), -1, *features.shape[1:]).transpose(1, 2)
