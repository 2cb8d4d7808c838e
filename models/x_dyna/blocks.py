"""Transformer blocks of X-Dyna: Dynamics-Adapter (arXiv 2501.10021, §3.2) and image tokens (IP-Adapter, 2308.06721)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from models.common.unet.attention import KeysValues, MultiHeadAttention, attend, for_rows
from models.common.unet.transformer import BlockConditions, TransformerBlock

# N = rows · frames, R rows, L tokens, D width


class AdapterAttention(MultiHeadAttention):
    """Self-attention, and a second attention with queries of its own to the first frame of each clip.

    The identity at initialisation: the output projection of the second attention is zero.
    """

    def __init__(self, width: int, *, num_heads: int) -> None:
        super().__init__(width, num_heads=num_heads)
        self.to_q_ff = nn.Linear(width, width, bias=False)
        self.to_out_ff = nn.Linear(width, width)
        self.begin()

    def begin(self) -> None:
        """Initialise the second attention: queries as those of the first, output zero."""
        with torch.no_grad():
            self.to_q_ff.weight.copy_(self.to_q.weight)
        nn.init.zeros_(self.to_out_ff.weight)
        nn.init.zeros_(self.to_out_ff.bias)

    def over_clips(self, x_NLD: Tensor, num_frames: int) -> Tensor:
        """(N, L, D); the frames of a clip are consecutive."""
        keys, values = self.keys_values(x_NLD)
        own = self.output(attend(self.queries(x_NLD), keys, values))
        reference = for_rows((keys[::num_frames], values[::num_frames]), len(x_NLD))
        attended = attend(self._heads(self.to_q_ff(x_NLD)), *reference)
        added: Tensor = self.to_out_ff(attended.transpose(1, 2).flatten(2))
        return own + added


class ImageAttention(MultiHeadAttention):
    """Cross-attention to text and, with keys and values of their own, to image tokens; the two are added."""

    def __init__(self, width: int, *, num_heads: int, context_width: int) -> None:
        super().__init__(width, num_heads=num_heads, context_width=context_width)
        self.to_k_ip = nn.Linear(context_width, width, bias=False)
        self.to_v_ip = nn.Linear(context_width, width, bias=False)

    def image_keys_values(self, tokens_RLD: Tensor) -> KeysValues:
        """Keys and values of image tokens."""
        return self._heads(self.to_k_ip(tokens_RLD)), self._heads(self.to_v_ip(tokens_RLD))


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageBlockConditions(BlockConditions):
    """Adds the keys and values of R rows' image tokens; `context` and `reference` are of R rows or of one for all.

    `image`: None where text and image are one token each: `context` is then the output of cross-attention.
    """

    image: KeysValues | None

    def rows(self, index: Sequence[int]) -> Self:
        """Some of the rows, in any order, also repeatedly."""
        rows = list(index)
        if isinstance(self.context, Tensor):
            return replace(self, context=self.context[rows])
        assert self.image is not None
        return replace(self, image=(self.image[0][rows], self.image[1][rows]))


class ImageBlock(TransformerBlock):
    """Transformer block that reads image tokens. Its self-attention reads reference features, if it has any."""

    attn2: ImageAttention

    def __init__(self, width: int, *, num_heads: int, context_width: int) -> None:
        super().__init__(width, num_heads=num_heads, context_width=context_width)
        self.attn2 = ImageAttention(width, num_heads=num_heads, context_width=context_width)

    def image_conditions(
        self, text_RLD: Tensor, image_RLD: Tensor, reference_RLD: Tensor | None = None
    ) -> ImageBlockConditions:
        """Conditioning inputs from text tokens, image tokens and reference features."""
        text, image = self.attn2.keys_values(text_RLD), self.attn2.image_keys_values(image_RLD)
        reference = None if reference_RLD is None else self.attn1.keys_values(reference_RLD)
        if text_RLD.shape[1] == image_RLD.shape[1] == 1:
            return ImageBlockConditions(context=self.attn2.output(text[1] + image[1]), image=None, reference=reference)
        return ImageBlockConditions(context=text, image=image, reference=reference)

    def _cross_attention(
        self, x_NLD: Tensor, conditions: BlockConditions | None, num_frames: int, unconditional: int
    ) -> Tensor:
        assert isinstance(conditions, ImageBlockConditions)
        if conditions.image is None or isinstance(conditions.context, Tensor):
            return super()._cross_attention(x_NLD, conditions, num_frames, unconditional)
        queries = self.attn2.queries(self.norm2(x_NLD))
        attended = attend(queries, *for_rows(conditions.context, len(x_NLD)))
        return self.attn2.output(attended + attend(queries, *for_rows(conditions.image, len(x_NLD))))


class DynamicsBlock(ImageBlock):
    """`ImageBlock` with a Dynamics-Adapter: the first frame of each clip is the reference."""

    attn1: AdapterAttention

    def __init__(self, width: int, *, num_heads: int, context_width: int) -> None:
        super().__init__(width, num_heads=num_heads, context_width=context_width)
        self.attn1 = AdapterAttention(width, num_heads=num_heads)

    def _self_attention(
        self,
        x_NLD: Tensor,
        conditions: BlockConditions | None,  # noqa: ARG002  (its reference is a frame)
        num_frames: int,
        unconditional: int,  # noqa: ARG002
    ) -> Tensor:
        return self.attn1.over_clips(x_NLD, num_frames)
