"""Training task for losses given as named terms over a whole batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)
BatchT = TypeVar("BatchT")


class LossTermsTask(Generic[NetworkT, BatchT]):
    """Trains all parameters of a network on the sum of named loss terms, on a single process.

    DDP and FSDP are not supported: the loss functions call submodules of the network instead of its `forward`.

    Args:
        loss_terms: (network, batch) -> scalar losses by name, already weighted.
    """

    def __init__(self, network: NetworkT, loss_terms: Callable[[NetworkT, BatchT], Mapping[str, Tensor]]) -> None:
        self.network = network
        self._loss_terms = loss_terms
        self.last_terms: dict[str, float] = {}
        """Loss terms of the last micro-batch."""

    def learns(self, name: str) -> bool:  # noqa: ARG002  (all parameters)
        """True for every parameter."""
        return True

    def shards(self) -> Sequence[nn.Module]:
        """Empty: FSDP is not supported."""
        return ()

    def row_losses(self, network: nn.Module, batch: BatchT) -> Tensor:  # noqa: ARG002  (is self.network)
        """(1) float32, sum of the loss terms over the batch."""
        terms = self._loss_terms(self.network, batch)
        self.last_terms = {name: float(term.detach()) for name, term in terms.items()}
        return torch.stack(list(terms.values())).sum()[None]
