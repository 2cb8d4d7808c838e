"""The spatial transformer of Stable Diffusion, with a reference's tokens beside its own (Animate Anyone, §3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers.models.attention import FeedForward
from torch import Tensor, nn

from models.common.unet.attention import KeysValues, MultiHeadAttention, attend, for_rows, joined


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockConditions:
    """What one transformer block reads besides its input; it depends on no step, so it is made once.

    `context`: what cross-attention adds where there is one context token, (R, 1, D): a softmax over one token is 1,
    whatever the query; otherwise the tokens' keys and values.
    `reference`: keys and values of the reference's tokens; None for none.
    R is 1, the number of rows, or rows · frames where every frame has a context of its own.
    """

    context: Tensor | KeysValues
    reference: KeysValues | None = None


class TransformerBlock(nn.Module):
    """Self-attention over [own tokens, reference tokens], cross-attention to the context, feed-forward."""

    def __init__(self, width: int, *, num_heads: int, context_width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = MultiHeadAttention(width, num_heads=num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = MultiHeadAttention(width, num_heads=num_heads, context_width=context_width)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width, activation_fn="geglu")

    def conditions(self, context_RLD: Tensor, reference_RLD: Tensor | None = None) -> BlockConditions:
        """What this block will read of context tokens and of the reference's features in the same place."""
        keys, values = self.attn2.keys_values(context_RLD)
        return BlockConditions(
            context=self.attn2.output(values) if context_RLD.shape[1] == 1 else (keys, values),
            reference=None if reference_RLD is None else self.attn1.keys_values(reference_RLD),
        )

    def forward(
        self, x_NLD: Tensor, conditions: BlockConditions | None, *, num_frames: int, num_unconditional: int
    ) -> tuple[Tensor, Tensor]:
        """The tokens, and the input of self-attention (a ReferenceNet's features).

        N = rows · frames. The first `num_unconditional` rows have no reference and a context of zeros, whose values are
        zero, so that cross-attention adds its bias.
        """
        unconditional = num_unconditional * num_frames
        normed = self.norm1(x_NLD)
        x_NLD = x_NLD + self._self_attention(normed, conditions, unconditional)
        x_NLD = x_NLD + self._cross_attention(x_NLD, conditions, num_frames, unconditional)
        x_NLD = x_NLD + self.ff(self.norm3(x_NLD))
        return x_NLD, normed

    def _self_attention(self, x_NLD: Tensor, conditions: BlockConditions | None, unconditional: int) -> Tensor:
        if conditions is None or conditions.reference is None:
            alone: Tensor = self.attn1(x_NLD)
            return alone
        queries, (keys, values) = self.attn1.queries(x_NLD), self.attn1.keys_values(x_NLD)
        reference = for_rows(conditions.reference, len(x_NLD) - unconditional)
        if len(reference[0]) == 1:
            rows = len(x_NLD) - unconditional
            reference = (reference[0].expand(rows, -1, -1, -1), reference[1].expand(rows, -1, -1, -1))
        seen = attend(queries[unconditional:], *joined((keys[unconditional:], values[unconditional:]), reference))
        if unconditional:
            seen = torch.cat([attend(queries[:unconditional], keys[:unconditional], values[:unconditional]), seen])
        return self.attn1.output(seen)

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
    """Attention over the pixels of each frame, added to them `scale` times."""

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
        """Its one transformer block."""
        block = self.transformer_blocks[0]
        assert isinstance(block, TransformerBlock)
        return block

    def forward(
        self, x_NCHW: Tensor, conditions: BlockConditions | None, *, num_frames: int = 1, num_unconditional: int = 0
    ) -> tuple[Tensor, Tensor]:
        """(N, C, H, W), and the block's features (N, H · W, C)."""
        height, width = x_NCHW.shape[2:]
        tokens = self.proj_in(self.norm(x_NCHW)).flatten(2).transpose(1, 2)
        tokens, features = self.block(tokens, conditions, num_frames=num_frames, num_unconditional=num_unconditional)
        added = self.proj_out(tokens.transpose(1, 2).reshape(*x_NCHW.shape[:2], height, width))
        return (added if self.scale == 1 else self.scale * added) + x_NCHW, features
