"""Spatial transformer of Stable Diffusion with reference attention (Animate Anyone, arXiv 2311.17117, §3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers.models.attention import FeedForward
from torch import Tensor, nn

from models.common.unet.attention import KeysValues, MultiHeadAttention, attend, for_rows, joined


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockConditions:
    """Conditioning inputs of one transformer block, independent of the timestep and computed once per animation.

    `context`: keys and values of the context tokens. For a single token, the output of cross-attention (R, 1, D)
    instead: a softmax over one token is 1 for every query.
    `reference`: keys and values of the reference's tokens, or None.
    R is 1, the number of rows, or rows · frames if every frame has its own context.
    """

    context: Tensor | KeysValues
    reference: KeysValues | None = None


class TransformerBlock(nn.Module):
    """Self-attention over [own tokens, reference tokens], cross-attention to the context, and a feed-forward
    network.
    """

    def __init__(self, width: int, *, num_heads: int, context_width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = MultiHeadAttention(width, num_heads=num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = MultiHeadAttention(width, num_heads=num_heads, context_width=context_width)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width, activation_fn="geglu")

    def conditions(self, context_RLD: Tensor, reference_RLD: Tensor | None = None) -> BlockConditions:
        """Conditioning inputs from context tokens and from the reference's features at this block."""
        keys, values = self.attn2.keys_values(context_RLD)
        return BlockConditions(
            context=self.attn2.output(values) if context_RLD.shape[1] == 1 else (keys, values),
            reference=None if reference_RLD is None else self.attn1.keys_values(reference_RLD),
        )

    def forward(
        self, x_NLD: Tensor, conditions: BlockConditions | None, *, num_frames: int, num_unconditional: int
    ) -> tuple[Tensor, Tensor]:
        """Returns the tokens and the input of self-attention (the features of a ReferenceNet).

        N = rows · frames. The first `num_unconditional` rows have no reference and a context of zeros, for which
        cross-attention only adds its output bias.
        """
        unconditional = num_unconditional * num_frames
        normed = self.norm1(x_NLD)
        x_NLD = x_NLD + self._self_attention(normed, conditions, num_frames, unconditional)
        x_NLD = x_NLD + self._cross_attention(x_NLD, conditions, num_frames, unconditional)
        x_NLD = x_NLD + self.ff(self.norm3(x_NLD))
        return x_NLD, normed

    def _self_attention(
        self,
        x_NLD: Tensor,
        conditions: BlockConditions | None,
        num_frames: int,  # noqa: ARG002  (for subclasses)
        unconditional: int,
    ) -> Tensor:
        if conditions is None or conditions.reference is None:
            output: Tensor = self.attn1(x_NLD)
            return output
        queries, (keys, values) = self.attn1.queries(x_NLD), self.attn1.keys_values(x_NLD)
        reference = for_rows(conditions.reference, len(x_NLD) - unconditional)
        if len(reference[0]) == 1:
            rows = len(x_NLD) - unconditional
            reference = (reference[0].expand(rows, -1, -1, -1), reference[1].expand(rows, -1, -1, -1))
        attended = attend(queries[unconditional:], *joined((keys[unconditional:], values[unconditional:]), reference))
        if unconditional:
            unconditioned = attend(queries[:unconditional], keys[:unconditional], values[:unconditional])
            attended = torch.cat([unconditioned, attended])
        return self.attn1.output(attended)

    def _cross_attention(
        self, x_NLD: Tensor, conditions: BlockConditions | None, num_frames: int, unconditional: int
    ) -> Tensor:
        bias = self.attn2.output_bias.to(x_NLD.dtype)
        if conditions is None:
            return bias
        context = conditions.context
        if isinstance(context, Tensor):
            added = context if len(context) == 1 else context.repeat_interleave(num_frames, 0)
            if not unconditional:
                return added
            rows = len(x_NLD) - unconditional
            return torch.cat([bias.expand(unconditional, 1, -1), added.expand(rows, -1, -1)])
        attended: Tensor = self.attn2(self.norm2(x_NLD[unconditional:]), for_rows(context, len(x_NLD) - unconditional))
        return torch.cat([bias.expand(unconditional, *attended.shape[1:]), attended]) if unconditional else attended


class SpatialTransformer(nn.Module):
    """Transformer over the pixels of each frame; its residual is multiplied by `scale`."""

    def __init__(self, width: int, *, num_heads: int, context_width: int, norm_groups: int, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.norm = nn.GroupNorm(norm_groups, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList(
            [TransformerBlock(width, num_heads=num_heads, context_width=context_width)]
        )
        self.proj_out = nn.Conv2d(width, width, 1)

    @property
    def block(self) -> TransformerBlock:
        """The only transformer block."""
        block = self.transformer_blocks[0]
        assert isinstance(block, TransformerBlock)
        return block

    def forward(
        self, x_NCHW: Tensor, conditions: BlockConditions | None, *, num_frames: int = 1, num_unconditional: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Returns the output (N, C, H, W) and the block's features (N, H · W, C)."""
        height, width = x_NCHW.shape[2:]
        tokens = self.proj_in(self.norm(x_NCHW)).flatten(2).transpose(1, 2)
        tokens, features = self.block(tokens, conditions, num_frames=num_frames, num_unconditional=num_unconditional)
        added = self.proj_out(tokens.transpose(1, 2).reshape(*x_NCHW.shape[:2], height, width))
        return (added if self.scale == 1 else self.scale * added) + x_NCHW, features
