"""How a network is spread over the processes that train it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

Strategy = Literal["ddp", "fsdp"]


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """The processes of a run, this one among them. `torch.distributed` must be set up where there is more than one.

    `strategy`: "ddp" keeps the whole network in each of them, "fsdp" a part of its weights, gradients and optimizer.
    """

    rank: int = 0
    size: int = 1
    strategy: Strategy = "ddp"
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (devices are values)

    def wrap(self, network: nn.Module, shards: Sequence[nn.Module]) -> nn.Module:
        """The network to call. `shards`: modules that FSDP gathers one by one; only their `forward` may be called."""
        if self.size == 1:
            return network
        if self.strategy == "ddp":
            # Networks have parameters that nothing depends on, kept for the sake of published checkpoints.
            return DistributedDataParallel(
                network, device_ids=[self.device] if self.device.type == "cuda" else None, find_unused_parameters=True
            )
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # which is all FSDP takes
        mesh = init_device_mesh(self.device.type, (self.size,))
        for shard in shards:
            fully_shard(shard, mesh=mesh)
        fully_shard(network, mesh=mesh)
        return network

    @contextlib.contextmanager
    def accumulating(self, wrapped: nn.Module, *, last: bool) -> Iterator[None]:
        """Exchange gradients only after the last micro-batch."""
        if isinstance(wrapped, FSDPModule):
            wrapped.set_requires_gradient_sync(last)
            yield
        elif isinstance(wrapped, DistributedDataParallel) and not last:
            with wrapped.no_sync():
                yield
        else:
            yield

    def mean(self, value: Tensor) -> float:
        """Mean of a number over all processes, the same in each."""
        if self.size == 1:
            return float(value)
        total = value.detach().clone()
        dist.all_reduce(total)
        return float(total) / self.size
