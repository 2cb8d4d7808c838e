"""Fitting an animation into the memory that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import nn

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """How much is done at once.

    `window_batch`: rows of a call of the denoiser. `vae_tiled`: the VAE works tile by tile. `offload`: networks wait
    on the CPU until they are needed.
    """

    window_batch: int
    vae_tiled: bool = False
    offload: bool = False

    def with_less(self) -> MemoryPlan | None:
        """The next plan that needs less; None where there is none."""
        if self.window_batch > 1:
            return replace(self, window_batch=self.window_batch // 2)
        if not self.vae_tiled:
            return replace(self, vae_tiled=True)
        if not self.offload:
            return replace(self, offload=True)
        return None

    def fallbacks(self, first: MemoryPlan) -> tuple[str, ...]:
        """What differs from the plan that was tried first, as the row says it."""
        said = []
        if self.window_batch != first.window_batch:
            said.append(f"window_batch={self.window_batch}")
        if self.vae_tiled:
            said.append("vae_tiled")
        if self.offload:
            said.append("offloaded")
        return tuple(said)


def with_less_where_needed(make: Callable[[MemoryPlan], Made], first: MemoryPlan) -> tuple[Made, tuple[str, ...]]:
    """What `make` makes with the first plan that fits, and what had to be done for want of memory.

    Raises:
        torch.OutOfMemoryError: it does not fit even with the least at once.
    """
    plan: MemoryPlan | None = first
    while plan is not None:
        try:
            made = make(plan)
        except torch.OutOfMemoryError:
            plan = plan.with_less()
            if plan is None:
                raise
            torch.cuda.empty_cache()
        else:
            return made, plan.fallbacks(first)
    raise AssertionError("a plan is returned, or memory ran out")


@contextmanager
def on_device(module: nn.Module, device: torch.device, plan: MemoryPlan) -> Iterator[None]:
    """The module on `device`, and back on the CPU afterwards where the plan says so."""
    module.to(device)
    try:
        yield
    finally:
        if plan.offload:
            module.to("cpu")


def channels_last(network: nn.Module) -> None:
    """Lay the weights of two-dimensional convolutions out as their kernels read them fastest; others know no such
    layout.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own overloads miss it
