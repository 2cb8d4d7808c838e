"""Multi-head attention with keys and values that can be computed once and reused at every denoising step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.common.attention import scaled_dot_product_attention

KeysValues = tuple[Tensor, Tensor]
"""Keys and values, each (N, heads, tokens, head width)."""


class MultiHeadAttention(nn.Module):
    """Self- or cross-attention. Parameter names are those of diffusers' `Attention`."""

    def __init__(self, width: int, *, num_heads: int, context_width: int | None = None) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a width of {width}")
        self.num_heads = num_heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_width or width, width, bias=False)
        self.to_v = nn.Linear(context_width or width, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    @property
    def output_bias(self) -> Tensor:
        """Bias of the output projection (D): the output when all values are zero."""
        bias = self.to_out[0].bias
        assert isinstance(bias, Tensor)
        return bias

    def queries(self, x_NLD: Tensor) -> Tensor:
        """Queries (N, heads, L, head width)."""
        return self._heads(self.to_q(x_NLD))

    def keys_values(self, context_NLD: Tensor) -> KeysValues:
        """Keys and values of a context."""
        return self._heads(self.to_k(context_NLD)), self._heads(self.to_v(context_NLD))

    def output(self, attended_NhLd: Tensor) -> Tensor:
        """Concatenate the heads and project: (N, L, D)."""
        joined: Tensor = self.to_out[0](attended_NhLd.transpose(1, 2).flatten(2))
        return joined

    def forward(self, x_NLD: Tensor, context: KeysValues | None = None) -> Tensor:
        """Attention to `context`, or self-attention without one: (N, L, D)."""
        keys, values = self.keys_values(x_NLD) if context is None else context
        return self.output(attend(self.queries(x_NLD), keys, values))

    def _heads(self, x_NLD: Tensor) -> Tensor:
        return x_NLD.view(*x_NLD.shape[:2], self.num_heads, -1).transpose(1, 2)


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(q · kᵀ / √d) · v over (N, heads, tokens, d). Keys and values with N = 1 are broadcast."""
    rows = len(queries)
    if len(keys) == 1 < rows:
        keys, values = keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)
    return scaled_dot_product_attention(queries, keys, values)


def joined(first: KeysValues, second: KeysValues) -> KeysValues:
    """Concatenate two sets of keys and values along the token axis."""
    return torch.cat([first[0], second[0]], 2), torch.cat([first[1], second[1]], 2)


def for_rows(context: KeysValues, num_rows: int) -> KeysValues:
    """Repeat keys and values of clips (B, …) for each of their frames: (num_rows, …).

    Inputs with B = 1 or B = num_rows are returned unchanged.
    """
    keys, values = context
    if len(keys) in (1, num_rows):
        return context
    repeats = num_rows // len(keys)
    return keys.repeat_interleave(repeats, 0), values.repeat_interleave(repeats, 0)
