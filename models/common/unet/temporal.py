"""Temporal layers, applied over the frames of each pixel: the motion modules of AnimateDiff (arXiv 2307.04725), the
temporal transformers of ModelScope's text-to-video (arXiv 2308.06571), and Mamba layers in their place.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers.models.attention import FeedForward
from torch import Tensor, nn
from torch.nn import functional

from models.common.digest import CheckpointError
from models.common.unet.attention import MultiHeadAttention
from models.common.unet.config import MambaConfig, TemporalConfig
from models.common.unet.mamba import Mamba


class TemporalBlock(nn.Module):
    """Two self-attentions over frames and a feed-forward network."""

    def __init__(self, width: int, *, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = MultiHeadAttention(width, num_heads=num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = MultiHeadAttention(width, num_heads=num_heads)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width, activation_fn="geglu")

    def forward(self, x_MFD: Tensor, positions_FD: Tensor | None = None) -> Tensor:
        """Tokens (M, F, D) of M pixels. Positional encodings are added to the input of each attention."""
        for norm, attention in ((self.norm1, self.attn1), (self.norm2, self.attn2)):
            normed = norm(x_MFD)
            x_MFD = x_MFD + attention(normed if positions_FD is None else normed + positions_FD)
        out: Tensor = x_MFD + self.ff(self.norm3(x_MFD))
        return out


class TemporalLayer(nn.Module):
    """Base of the temporal layers: a residual branch over the frames of each pixel, with its GroupNorm."""

    def __init__(self, width: int, config: TemporalConfig, *, norm_groups: int) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.GroupNorm(norm_groups, width, eps=1e-6)

    def normed(self, x_NCHW: Tensor, num_frames: int) -> Tensor:
        """Normalised input as (B, F, C, H, W)."""
        clips = (-1, num_frames, *x_NCHW.shape[1:])
        # PyTorch 2.13's channels-last GroupNorm kernel for CPUs crashes in the backward pass when its input needs no
        # gradient (frozen layers before it).
        x = x_NCHW.contiguous() if torch.is_grad_enabled() and not x_NCHW.requires_grad else x_NCHW
        if self.config.norm == "pooled":
            pooled: Tensor = self.norm(x.reshape(clips).transpose(1, 2))
            return pooled.transpose(1, 2)
        per_frame: Tensor = self.norm(x)
        return per_frame.reshape(clips)


class TemporalTransformer(TemporalLayer):
    """Motion module: attention over frames. The output projection is zero-initialised."""

    positions: Tensor | None

    def __init__(self, width: int, config: TemporalConfig, *, norm_groups: int, inner_width: int | None = None) -> None:
        """`inner_width`: width of the attention; None: `width`."""
        super().__init__(width, config, norm_groups=norm_groups)
        inner = inner_width or width
        self.proj_in = nn.Linear(width, inner)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(inner, num_heads=config.heads(inner))])
        self.proj_out = nn.Linear(inner, width)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)
        table = sinusoids(config.max_frames, inner) if config.positions else None
        self.register_buffer("positions", table, persistent=False)

    def forward(self, x_NCHW: Tensor, num_frames: int) -> Tensor:
        """(N, C, H, W) with N = clips · frames; the frames of a clip are consecutive.

        Raises:
            ValueError: more frames than positional encodings.
        """
        first = int(self.config.passes_first_frame)
        num_moving = num_frames - first
        if self.positions is not None and num_moving > len(self.positions):
            raise ValueError(
                f"a window has {num_moving} frames, the temporal layers have positions for {len(self.positions)}"
            )
        _, channels, height, width = x_NCHW.shape
        x_MFC = self.normed(x_NCHW, num_frames)[:, first:].permute(0, 3, 4, 1, 2).flatten(0, 2)
        positions = None if self.positions is None else self.positions[:num_moving].to(x_MFC.dtype)
        x_MFC = self.transformer_blocks[0](self.proj_in(x_MFC), positions)
        out_BHWFC: Tensor = self.proj_out(x_MFC).reshape(-1, height, width, num_moving, channels)
        if first:
            out_BHWFC = functional.pad(out_BHWFC, (0, 0, first, 0))
        return x_NCHW + out_BHWFC.permute(0, 3, 4, 1, 2).flatten(0, 1)


class TemporalMamba(TemporalLayer):
    """State-space layer over any number of frames, in linear time. The output projection is zero-initialised."""

    def __init__(self, width: int, config: TemporalConfig, mamba: MambaConfig, *, norm_groups: int) -> None:
        super().__init__(width, config, norm_groups=norm_groups)
        self.mamba = Mamba(width, mamba)

    def forward(self, x_NCHW: Tensor, num_frames: int) -> Tensor:
        """(N, C, H, W) with N = clips · frames; the frames of a clip are consecutive."""
        normed_BFCHW = self.normed(x_NCHW, num_frames)
        clips, _, channels, height, width = normed_BFCHW.shape
        x_FMC = normed_BFCHW.permute(1, 0, 3, 4, 2).flatten(1, 3)
        out_FBHWC: Tensor = self.mamba(x_FMC).reshape(num_frames, clips, height, width, channels)
        return x_NCHW + out_FBHWC.permute(1, 0, 4, 2, 3).flatten(0, 1)


def temporal_layer(
    width: int, config: TemporalConfig, *, norm_groups: int, inner_width: int | None = None
) -> TemporalLayer:
    """Temporal layer of the configured kind. `inner_width`: width of a transformer's attention."""
    if config.mamba is not None:
        return TemporalMamba(width, config, config.mamba, norm_groups=norm_groups)
    return TemporalTransformer(width, config, norm_groups=norm_groups, inner_width=inner_width)


def sinusoids(length: int, width: int) -> Tensor:
    """Sinusoidal positional encodings (length, width), float32: sines in even columns, cosines in odd ones."""
    # On the CPU even under `torch.device("meta")`: the table is in no checkpoint.
    position = torch.arange(length, dtype=torch.float64, device="cpu")[:, None]
    angle = position / 10000.0 ** (torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width)
    table = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
    return table[:, :width].float()


def check_sinusoids(key: str, table: Tensor, path: Path) -> None:
    """Check that a checkpoint's positional encodings (1, length, width) are those of `sinusoids`.

    Raises:
        CheckpointError: they are not.
    """
    # Tolerance for tables stored in half precision.
    if table.ndim != 3 or not torch.allclose(table[0].float(), sinusoids(*table.shape[1:]), atol=2e-3):
        raise CheckpointError(f"{path}: {key} {tuple(table.shape)} is no table of sinusoidal positions")
