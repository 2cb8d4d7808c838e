"""Exponential moving average (EMA) of network weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


# Not torch's AveragedModel: it deep-copies the network, which FSDP2 does not support and which doubles frozen weights.
class EmaWeights:
    """EMA of the given tensors, possibly none, with decay warm-up.

    Args:
        tensors: parameters and floating-point buffers to average, by name.
        decay: maximum decay per step. Step `step` (0-based) uses min(decay, (1 + step) / (10 + step)).
    """

    def __init__(self, tensors: Mapping[str, Tensor], *, decay: float) -> None:
        self.decay = decay
        self._tensors = dict(tensors)
        self.weights: dict[str, Tensor] = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def update(self, step: int) -> None:
        """Update the averages with the current weights, after optimizer step `step` (0-based)."""
        if not self.weights:
            return
        update = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
        update(list(self.weights.values()), list(self._tensors.values()), step)

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Context in which the network holds the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, tensor in self._tensors.items():
            raw = tensor.detach().clone()
            tensor.copy_(self.weights[name])
            self.weights[name] = raw
