"""The moving average of a network's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn


class EmaWeights:
    """Average of the parameters that learn, by name; the others are as they are.

    `decay`: per step; it rises to that from (1 + step) / (10 + step), so that the first weights are soon forgotten.
    """

    def __init__(self, parameters: Iterable[tuple[str, nn.Parameter]], *, decay: float) -> None:
        self.decay = decay
        self._parameters = dict(parameters)
        self.weights: dict[str, Tensor] = {name: p.detach().clone() for name, p in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step` (0 first)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self._parameters.items():
            self.weights[name].lerp_(parameter, 1 - decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The network with the averaged weights, for as long as the block lasts."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            kept = parameter.detach().clone()
            parameter.copy_(self.weights[name])
            self.weights[name] = kept
