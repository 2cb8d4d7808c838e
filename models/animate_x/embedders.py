"""Embeddings of pictures, skeletons and latents, concatenated with the noise as channels (UniAnimate,
arXiv 2406.01188).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.common.attention import scaled_dot_product_attention

NUM_HEADS = 2


class FrameMixer(nn.Module):
    """Transformer layer over the frames of each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.to_qkv = nn.Linear(channels, 3 * NUM_HEADS * channels, bias=False)
        self.to_out = nn.Linear(NUM_HEADS * channels, channels)
        self.ff = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x_BFCHW: Tensor) -> Tensor:
        """Inputs and outputs are (B, F, C, H, W)."""
        batch, _, _, height, width = x_BFCHW.shape
        x_MFC = x_BFCHW.permute(0, 3, 4, 1, 2).flatten(0, 2)
        heads = [
            part.unflatten(-1, (NUM_HEADS, -1)).transpose(1, 2) for part in self.to_qkv(self.norm(x_MFC)).chunk(3, -1)
        ]
        attended = scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        x_MFC = x_MFC + self.to_out(attended)
        x_MFC = x_MFC + self.ff(x_MFC)
        mixed: Tensor = x_MFC.unflatten(0, (batch, height, width)).permute(0, 3, 4, 1, 2)
        return mixed


class PictureEmbedder(nn.Module):
    """Embeds pictures at the resolution of latents (1/8), then mixes the frames of a clip."""

    def __init__(self, width: int, out_channels: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(3, width, 3, padding=1),
                nn.Conv2d(width, width, 3, padding=1, stride=2),
                nn.Conv2d(width, out_channels, 3, padding=1, stride=2),
            ]
        )
        self.mixer = FrameMixer(out_channels)

    def of_frames(self, pictures_N3HW: Tensor) -> Tensor:
        """Features (N, C, H / 8, W / 8) of single pictures with values 0–1."""
        first, second, third = self.convolutions
        # The public code pools to half of a fixed resolution; this equals it at that resolution and works at any.
        x = functional.avg_pool2d(functional.silu(first(pictures_N3HW)), 2)
        features: Tensor = third(functional.silu(second(x)))
        return features

    def forward(self, features_BFCHW: Tensor) -> Tensor:
        """Mix the features (B, F, C, h, w) of the frames of a window."""
        mixed: Tensor = self.mixer(features_BFCHW)
        return mixed


class LatentEmbedder(nn.Module):
    """Embeds the latents of a reference, which takes the place of a frame."""

    def __init__(self, channels: int, width: int, out_channels: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(channels, width, 3, padding=1),
                nn.Conv2d(width, width, 3, padding=1),
                nn.Conv2d(width, out_channels, 3, padding=1),
            ]
        )
        self.mixer = FrameMixer(out_channels)

    def forward(self, latents_BCHW: Tensor) -> Tensor:
        """Features (B, out_channels, H, W)."""
        first, second, third = self.convolutions
        features = third(functional.silu(second(functional.silu(first(latents_BCHW)))))
        mixed: Tensor = self.mixer(features[:, None])[:, 0]
        return mixed
