"""ResNets of a U-Net, with statistics over a frame or over a clip."""

from __future__ import annotations

from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional

from models.common.unet.config import UNetConfig


def pooled_norm(norm: nn.GroupNorm, x_NCHW: Tensor, num_frames: int) -> Tensor:
    """GroupNorm with statistics over all frames of a clip; the frames of a clip are consecutive."""
    clips_BCFHW = x_NCHW.reshape(-1, num_frames, *x_NCHW.shape[1:]).transpose(1, 2)
    normed: Tensor = norm(clips_BCFHW)
    return normed.transpose(1, 2).flatten(0, 1)


class Resnet(ResnetBlock2D):
    """ResNet with the statistics of `UNetConfig.residual_norm`. Parameter names are those of diffusers."""

    def __init__(self, before: int, after: int, config: UNetConfig) -> None:
        """`before`, `after`: number of channels."""
        super().__init__(
            in_channels=before,
            out_channels=after,
            temb_channels=4 * config.widths[0],
            groups=config.norm_groups,
            eps=1e-5,
        )
        self.pooled = config.residual_norm == "pooled"

    def forward(self, x_NCHW: Tensor, embedding_ND: Tensor, num_frames: int = 1) -> Tensor:
        """(N, C, H, W) with N = clips · frames."""
        if not self.pooled:
            per_frame: Tensor = super().forward(x_NCHW, embedding_ND)
            return per_frame
        hidden = self.conv1(functional.silu(pooled_norm(self.norm1, x_NCHW, num_frames)))
        hidden = hidden + self.time_emb_proj(functional.silu(embedding_ND))[:, :, None, None]
        hidden = self.conv2(functional.silu(pooled_norm(self.norm2, hidden, num_frames)))
        out: Tensor = hidden + (x_NCHW if self.conv_shortcut is None else self.conv_shortcut(x_NCHW))
        return out
