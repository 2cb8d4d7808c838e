"""IP-Adapter-Plus (arXiv 2308.06721): image tokens of CLIP ViT-H through a resampler."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModel, CLIPVisionModelWithProjection

from models.appearance.image_encoder import ImageEncoder
from models.common.attention import scaled_dot_product_attention
from models.common.checkpoint import fill, read_tensors
from models.common.pretrained import load_pretrained

PREFIX = "image_proj."
"""Beginning of the resampler's names; the files also hold layers of a U-Net."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResamplerConfig:
    """Shape of a resampler; the defaults are those of `ip-adapter-plus_sd15`.

    `features_width`: of a token of the image encoder. `context_width`: of a token of the result.
    """

    width: int = 768
    layers: int = 4
    heads: int = 12
    head_width: int = 64
    num_tokens: int = 16
    features_width: int = 1280
    context_width: int = 768
    ff_ratio: int = 4


class _ResamplerAttention(nn.Module):
    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(config.width)
        self.norm2 = nn.LayerNorm(config.width)
        self.to_q = nn.Linear(config.width, inner, bias=False)
        self.to_kv = nn.Linear(config.width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, config.width, bias=False)

    def forward(self, features_NLD: Tensor, queries_NLD: Tensor) -> Tensor:
        """Attention of the queries to features and queries."""
        queries_NLD = self.norm2(queries_NLD)
        keys, values = self.to_kv(torch.cat([self.norm1(features_NLD), queries_NLD], 1)).chunk(2, -1)
        heads = [part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.to_q(queries_NLD), keys, values)]
        out: Tensor = self.to_out(scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        return out


class Resampler(nn.Module):
    """Tokens of an image encoder to a few context tokens. Parameter names are those of the published file."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        width = config.width
        self.latents = nn.Parameter(torch.randn(1, config.num_tokens, width) / width**0.5)
        self.proj_in = nn.Linear(config.features_width, width)
        self.proj_out = nn.Linear(width, config.context_width)
        self.norm_out = nn.LayerNorm(config.context_width)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    _ResamplerAttention(config),
                    nn.Sequential(
                        nn.LayerNorm(width),
                        nn.Linear(width, config.ff_ratio * width, bias=False),
                        nn.GELU(),
                        nn.Linear(config.ff_ratio * width, width, bias=False),
                    ),
                ]
            )
            for _ in range(config.layers)
        )

    def forward(self, features_NLD: Tensor) -> Tensor:
        """(N, tokens, context width) of the encoder's features."""
        features = self.proj_in(features_NLD)
        x = self.latents.expand(len(features), -1, -1)
        layer: Any  # a module list of two
        for layer in self.layers:
            attention, feed_forward = layer
            x = x + attention(features, x)
            x = x + feed_forward(x)
        tokens: Tensor = self.norm_out(self.proj_out(x))
        return tokens


class IpAdapterEncoder(ImageEncoder):
    """CLIP image encoder whose context tokens are those of a resampler over its penultimate layer."""

    def __init__(self, network: CLIPVisionModelWithProjection, resampler: Resampler) -> None:
        super().__init__(network)
        self.resampler = resampler

    def tokens_of_pixels(self, pixels_N3HH: Tensor) -> Tensor:
        """Context tokens (N, L, D)."""
        hidden = self.network(pixel_values=pixels_N3HH, output_hidden_states=True).hidden_states
        tokens: Tensor = self.resampler(hidden[-2])
        return tokens

    def pixels(self, images_N3HW: Tensor) -> Tensor:
        """Normalised squares from the centre of images whose shorter side is resized: CLIP's own preparation, as in the
        public code of X-Dyna. What lies beyond the square is not seen.
        """
        side = self.side_px
        height, width = images_N3HW.shape[2:]
        short = min(height, width)
        size = (height * side // short, width * side // short)
        top, left = (size[0] - side) // 2, (size[1] - side) // 2
        images = functional.interpolate(images_N3HW.float(), size=size, mode="bicubic", antialias=True)
        return self.normalised(images[:, :, top : top + side, left : left + side])


def load_resampler(path: Path, config: ResamplerConfig | None = None) -> Resampler:
    """Load the resampler from `ip-adapter-plus_sd15.bin` or `.safetensors`.

    Raises:
        CheckpointError: the file is absent or damaged, or a tensor is missing, unexpected or misshapen.
    """
    tensors = {
        name.removeprefix(PREFIX): tensor for name, tensor in read_tensors(path).items() if name.startswith(PREFIX)
    }
    with torch.device("meta"):
        resampler = Resampler(config or ResamplerConfig())
    fill(resampler, tensors, path)
    return resampler.eval().requires_grad_(False)


def load_ip_adapter_encoder(encoder: Path, resampler: Path) -> IpAdapterEncoder:
    """Load the image encoder from its published folder and the resampler from its file.

    Raises:
        CheckpointError: a file is absent, incomplete or damaged.
    """
    network = load_pretrained(CLIPVisionModelWithProjection, encoder)
    return IpAdapterEncoder(network, load_resampler(resampler)).eval()


@torch.no_grad()
def empty_text(folder: Path) -> Tensor:
    """Text tokens (1, L, D) of the empty prompt, from the published folder of Stable Diffusion 1.5's text encoder.

    Raises:
        CheckpointError: the folder is absent or incomplete.
    """
    network = load_pretrained(CLIPTextModel, folder)
    config = network.config
    # Start and end of a text are the last two of the vocabulary; Stable Diffusion 1.5 pads with the end.
    start, end = config.vocab_size - 2, config.vocab_size - 1
    tokens = torch.tensor([[start, *[end] * (config.max_position_embeddings - 1)]])
    empty: Tensor = network(tokens).last_hidden_state
    return empty.float()
