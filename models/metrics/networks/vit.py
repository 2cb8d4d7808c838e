"""Vision transformer, and the two published forms of it that measures read.

Parameter names are those of DINO (Caron et al. 2021) and VideoMAE V2 (Wang et al. 2023), which agree on all but the
biases of attention.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.common.unet.temporal import sinusoids

NORM_EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class VitConfig:
    """Shape of a vision transformer.

    Args:
        width: channels of a token.
        depth: number of blocks.
        num_heads: attention heads; a divisor of `width`.
        mlp_width: channels between the two linear layers of a block.
        patch_px: side of a patch.
        side_px: side of the square images that it was trained on.
        num_frames: frames of a clip; 1 for images.
        tubelet_frames: frames of a patch.
    """

    width: int
    depth: int
    num_heads: int
    mlp_width: int
    patch_px: int
    side_px: int = 224
    num_frames: int = 1
    tubelet_frames: int = 1

    @property
    def grid(self) -> int:
        """Patches along a side of an image."""
        return self.side_px // self.patch_px


class Attention(nn.Module):
    """Multi-head self-attention of tokens (N, L, C)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens_NLC: Tensor) -> Tensor:
        """Attended tokens (N, L, C)."""
        heads = self.qkv(tokens_NLC).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*heads.unbind())
        projected: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return projected


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, tokens_NLC: Tensor) -> Tensor:
        """Tokens (N, L, C)."""
        projected: Tensor = self.fc2(functional.gelu(self.fc1(tokens_NLC)))
        return projected


class Block(nn.Module):
    """Attention and MLP, each on normalised tokens with a residual connection."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, NORM_EPSILON)
        self.attn = Attention(config.width, config.num_heads)
        self.norm2 = nn.LayerNorm(config.width, NORM_EPSILON)
        self.mlp = Mlp(config.width, config.mlp_width)

    def forward(self, tokens_NLC: Tensor) -> Tensor:
        """Tokens (N, L, C)."""
        tokens_NLC = tokens_NLC + self.attn(self.norm1(tokens_NLC))
        result: Tensor = tokens_NLC + self.mlp(self.norm2(tokens_NLC))
        return result


class _Patches(nn.Module):
    """Embedding of non-overlapping patches of images (N, 3, H, W) or clips (N, 3, T, H, W); incomplete patches at the
    right and the bottom are dropped.
    """

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.proj: nn.Module
        if config.num_frames == 1:
            self.proj = nn.Conv2d(3, config.width, config.patch_px, config.patch_px)
        else:
            kernel = (config.tubelet_frames, config.patch_px, config.patch_px)
            self.proj = nn.Conv3d(3, config.width, kernel, kernel)

    def forward(self, pixels: Tensor) -> Tensor:
        """Tokens (N, L, C), the last axis of the pixels fastest."""
        tokens: Tensor = self.proj(pixels).flatten(2).transpose(1, 2)
        return tokens


class ImageTransformer(nn.Module):
    """DINO's network: class token, learned positions, and the normalised class token as the features."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, config.width))
        self.patch_embed = _Patches(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, NORM_EPSILON)

    def forward(self, pixels_N3HW: Tensor) -> Tensor:
        """Features (N, C) of normalised images of at least a patch in height and width."""
        tokens = self.patch_embed(pixels_N3HW)
        height_px, width_px = pixels_N3HW.shape[-2:]
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1)
        tokens = tokens + self._positions(height_px, width_px)
        for block in self.blocks:
            tokens = block(tokens)
        features: Tensor = self.norm(tokens)[:, 0]
        return features

    def _positions(self, height_px: int, width_px: int) -> Tensor:
        """Positions (1, L, C), interpolated to the image's grid as in the published code."""
        config = self.config
        rows, columns = height_px // config.patch_px, width_px // config.patch_px
        if height_px == width_px and rows == config.grid:
            return self.pos_embed
        square = self.pos_embed[:, 1:].reshape(1, config.grid, config.grid, -1).movedim(-1, 1)
        # The tenth of a patch guards the published code against a size that is rounded down.
        scale = ((rows + 0.1) / config.grid, (columns + 0.1) / config.grid)
        resized = functional.interpolate(square, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)], 1)


class ClipTransformer(nn.Module):
    """VideoMAE V2's encoder: sinusoidal positions, and the normalised mean of all tokens as the features.

    The published file also holds a classifier, `head`, which no measure reads.
    """

    def __init__(self, config: VitConfig, *, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = _Patches(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.fc_norm = nn.LayerNorm(config.width, NORM_EPSILON)
        self.head = nn.Linear(config.width, num_classes)
        length = config.num_frames // config.tubelet_frames * config.grid**2
        self.register_buffer("positions", sinusoids(length, config.width), persistent=False)

    positions: Tensor

    def forward(self, pixels_N3THW: Tensor) -> Tensor:
        """Features (N, C) of clips with values 0 to 1, of the configured size and length."""
        tokens = self.patch_embed(pixels_N3THW) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        features: Tensor = self.fc_norm(tokens.mean(1))
        return features


def joined_biases(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint of VideoMAE V2 with the names of `Attention`: biases of queries and values, but none of keys, become
    `qkv.bias`.
    """
    joined = {}
    for key, tensor in tensors.items():
        if key.endswith(".q_bias") and (value := tensors.get(key.replace(".q_bias", ".v_bias"))) is not None:
            joined[key.replace(".q_bias", ".qkv.bias")] = torch.cat([tensor, torch.zeros_like(tensor), value])
        elif not key.endswith(".v_bias") or key.replace(".v_bias", ".q_bias") not in tensors:
            joined[key] = tensor
    return joined
