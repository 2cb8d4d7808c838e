"""Data parallelism over processes: DDP or FSDP2."""

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
    """Rank, number of processes and parallelism strategy. With size > 1, `torch.distributed` must be initialised.

    `strategy`: "ddp" replicates the network in every process, "fsdp" shards weights, gradients and optimizer state.
    """

    rank: int = 0
    size: int = 1
    strategy: Strategy = "ddp"
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (devices are values)

    def wrap(self, network: nn.Module, shards: Sequence[nn.Module]) -> nn.Module:
        """Wrap the network for training. `shards`: submodules to shard individually with FSDP; call only `forward`."""
        if self.size == 1:
            return network
        if self.strategy == "ddp":
            # Some parameters never get a gradient: they exist only for compatibility with published checkpoints.
            return DistributedDataParallel(
                network, device_ids=[self.device] if self.device.type == "cuda" else None, find_unused_parameters=True
            )
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # FSDP requires contiguous parameters
        mesh = init_device_mesh(self.device.type, (self.size,))
        for shard in shards:
            fully_shard(shard, mesh=mesh)
        fully_shard(network, mesh=mesh)
        return network

    @contextlib.contextmanager
    def accumulating(self, wrapped: nn.Module, *, last: bool) -> Iterator[None]:
        """Synchronise gradients only after the last micro-batch."""
        if isinstance(wrapped, FSDPModule):
            wrapped.set_requires_gradient_sync(last)
            yield
        elif isinstance(wrapped, DistributedDataParallel) and not last:
            with wrapped.no_sync():
                yield
        else:
            yield

    def mean(self, value: Tensor) -> float:
        """Mean of a scalar over all processes, returned in each."""
        if self.size == 1:
            return float(value)
        total = value.detach().clone()
        dist.all_reduce(total)
        return float(total) / self.size
