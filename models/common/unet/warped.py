"""What networks see of a reference that was moved limb by limb (`models.pose.limb_warp`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WarpedReference(nn.Conv2d):
    """Latents of the reference in each pose to features beside those of the pose. It begins at zero, as a network may
    that knows nothing of it yet.
    """

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


def check_warped(asked_for: bool, latents_BCFHW: Tensor | None) -> None:
    """Check that a network is given what its configuration says.

    Raises:
        ValueError: latents given and not asked for, or the other way round.
    """
    if asked_for != (latents_BCFHW is not None):
        given = "no latents" if latents_BCFHW is None else "latents"
        raise ValueError(
            f"the configuration has limb_warp={asked_for}, got {given} of the reference moved limb by limb"
        )
