"""Memory plans: trade speed for memory when an animation does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import nn

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """Settings that bound memory use.

    `window_batch`: rows per call of the denoiser. `vae_tiled`: the VAE processes images in tiles. `offload`: networks
    stay on the CPU while they are not in use.
    """

    window_batch: int
    vae_tiled: bool = False
    offload: bool = False

    def with_less(self) -> MemoryPlan | None:
        """The next plan, which needs less memory; None after the last."""
        if self.window_batch > 1:
            return replace(self, window_batch=self.window_batch // 2)
        if not self.vae_tiled:
            return replace(self, vae_tiled=True)
        if not self.offload:
            return replace(self, offload=True)
        return None

    def fallbacks(self, first: MemoryPlan) -> tuple[str, ...]:
        """Differences from the first plan tried, as stored in the row's `fallbacks`."""
        fallbacks = []
        if self.window_batch != first.window_batch:
            fallbacks.append(f"window_batch={self.window_batch}")
        if self.vae_tiled:
            fallbacks.append("vae_tiled")
        if self.offload:
            fallbacks.append("offloaded")
        return tuple(fallbacks)


def with_less_where_needed(
    compute: Callable[[MemoryPlan], ResultT], first: MemoryPlan
) -> tuple[ResultT, tuple[str, ...]]:
    """Run `compute` with the first plan that fits into memory; returns its result and the plan's `fallbacks`.

    Raises:
        torch.OutOfMemoryError: even the last plan does not fit.
    """
    plan: MemoryPlan | None = first
    while plan is not None:
        try:
            result = compute(plan)
        except torch.OutOfMemoryError:
            plan = plan.with_less()
            if plan is None:
                raise
            torch.cuda.empty_cache()
        else:
            return result, plan.fallbacks(first)
    raise AssertionError("the loop returns a result or raises")


@contextmanager
def on_device(module: nn.Module, device: torch.device, plan: MemoryPlan) -> Iterator[None]:
    """Move the module to `device`, and back to the CPU at the end if the plan offloads."""
    module.to(device)
    try:
        yield
    finally:
        if plan.offload:
            module.to("cpu")


def channels_last(network: nn.Module) -> None:
    """Convert the weights of 2D convolutions to the channels-last memory format, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own overloads miss it
