"""Blending of a network's prediction with a draft, so that it need not learn to copy what the draft has right."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.sampling.schedule import NoiseSchedule

DRAFT_WEIGHT = 2.0
"""Logit of the draft's weight in a network that has not learned it yet: a weight of 0.88."""


class DraftWeight(nn.Conv2d):
    """One convolution from a network's last features to the draft's weight in each channel of each latent."""

    def __init__(self, width: int, latent_channels: int) -> None:
        super().__init__(width, latent_channels, 3, padding=1)
        nn.init.zeros_(self.weight)
        assert self.bias is not None
        nn.init.constant_(self.bias, DRAFT_WEIGHT)

    def forward(self, hidden_NCHW: Tensor) -> Tensor:
        """Weights 0–1, (N, latent_channels, H, W)."""
        return torch.sigmoid(super().forward(hidden_NCHW))


def blended(
    predicted_BCFHW: Tensor, draft_BCFHW: Tensor, weight_BCFHW: Tensor, t_B: Tensor, schedule: NoiseSchedule
) -> Tensor:
    """The prediction with the draft in its place to the share of `weight_BCFHW`. `draft_BCFHW`: latents."""
    draft = draft_BCFHW.float()
    # The draft as a prediction: that of a sample without noise.
    target = schedule.target(draft, torch.zeros_like(draft), t_B)
    return predicted_BCFHW + weight_BCFHW * (target.to(predicted_BCFHW.dtype) - predicted_BCFHW)
