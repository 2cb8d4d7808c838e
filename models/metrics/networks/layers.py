"""Layers and loading that the networks of measures share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.common.checkpoint import fill, read_tensors

NetworkT = TypeVar("NetworkT", bound=nn.Module)

TRAINING_COUNTER = ".num_batches_tracked"
"""End of the name of a tensor of `torch.nn.BatchNorm*` that only training reads, and that older files lack."""


class BatchNorm(nn.Module):
    """Batch normalisation in evaluation mode, of any number of dimensions, with the keys of `torch.nn.BatchNorm*`."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float) -> None:
        super().__init__()
        self.eps = eps
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, …) over the statistics of training."""
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def load_network(
    build: Callable[[], NetworkT],
    path: Path,
    device: torch.device | str,
    *,
    renamed: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
) -> NetworkT:
    """Build a network and fill it from a published file, in float32 and evaluation mode.

    `renamed`: gives the file's tensors the network's names.

    Raises:
        CheckpointError: the file is absent or damaged, or a tensor is missing, unexpected or misshapen.
    """
    tensors = {key: value.float() for key, value in read_tensors(path).items() if not key.endswith(TRAINING_COUNTER)}
    with torch.device("meta"):
        network = build()
    fill(network, renamed(tensors), path)
    return network.eval().requires_grad_(False).to(device)
