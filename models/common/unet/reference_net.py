"""ReferenceNet of Animate Anyone (arXiv 2311.17117, §3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from models.common.unet.config import UNetConfig
from models.common.unet.unet import UNet


class ReferenceNet(UNet):
    """A U-Net over the reference's latents, whose features the transformers of a denoiser attend to."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        # Features end at the first norm of the last transformer; the layers after it are in the checkpoints, unused.
        last = self.transformers[-1]
        for module in (last.proj_out, last.block.attn1, last.block.attn2, last.block.ff):
            module.requires_grad_(False)
        for norm in (last.block.norm2, last.block.norm3):
            norm.requires_grad_(False)

    def forward(
        self, latents_RCHW: Tensor, image_tokens_RLD: Tensor, pose_features_RCHW: Tensor | None = None
    ) -> list[Tensor]:
        """Features (R, H · W, C) of each transformer, in the order in which they run, at training step 0.

        `pose_features_RCHW`: added to the output of `conv_in`.
        """
        features: list[Tensor] = []
        t_R = torch.zeros(len(latents_RCHW), dtype=torch.long, device=latents_RCHW.device)
        x = self.conv_in(latents_RCHW)
        if pose_features_RCHW is not None:
            x = x + pose_features_RCHW
        self.forward_features(x, t_R, self.conditions(image_tokens_RLD), features=features)
        return features
