"""The training loop of the embedded networks: on one CPU core, stopped and continued at any moment."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from models.training.muon import muon_and_adamw

logger = logging.getLogger(__name__)
BatchT = TypeVar("BatchT")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """How long and how fast a network learns.

    `average`: decay per step of the moving average of the weights, which is what is kept in the end.
    """

    steps: int
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    average: float = 0.998
    seed: int = 0
    save_every_seconds: float = 120.0
    log_every_steps: int = 50

    def rate(self, step: int) -> float:
        """Learning rate at a step: a linear rise, then half a cosine down to 2 %."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return self.learning_rate * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * min(done, 1.0))))


def train(
    network: nn.Module,
    *,
    batch: Callable[[np.random.Generator], BatchT],
    losses: Callable[[BatchT], Mapping[str, Tensor]],
    config: LoopConfig,
    state_path: Path,
) -> float:
    """Train in place; the network ends with the averaged weights. Returns the seconds it took, over all attempts.

    What a step sees depends on the seed and its number alone. `state_path` is written now and then, and picked up from
    there if it exists, so a killed run loses at most `save_every_seconds`.
    """
    groups = [{"params": list(network.parameters())}]
    optimizers = muon_and_adamw(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
    average = {key: value.detach().clone() for key, value in network.state_dict().items()}
    first, seconds_before = 0, 0.0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        network.load_state_dict(state["network"])
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        average, first, seconds_before = state["average"], state["step"], state["seconds"]
        logger.info("continuing at step %d of %d", first, config.steps)

    def save(step: int) -> None:
        state = {
            "network": network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "average": average,
            "step": step,
            "seconds": seconds_before + time.monotonic() - began,
        }
        temporary = state_path.with_name(f".{state_path.name}.{os.getpid()}.tmp")
        torch.save(state, temporary)
        temporary.replace(state_path)

    network.train()
    began = saved = time.monotonic()
    recent: dict[str, float] = {}
    for step, material in _prefetched(batch, config.seed, first, config.steps):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = config.rate(step)
        parts = losses(material)
        network.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]  # torch's own is untyped
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        for optimizer in optimizers:
            optimizer.step()
        _average(average, network.state_dict(), min(config.average, (1 + step) / (10 + step)))
        for name, value in parts.items():
            now = float(value.detach())
            recent[name] = 0.95 * recent.get(name, now) + 0.05 * now
        if (step + 1) % config.log_every_steps == 0 or step + 1 == config.steps:
            rate = (step + 1 - first) / (time.monotonic() - began)
            shown = ", ".join(f"{name} {value:.4f}" for name, value in recent.items())
            logger.info("step %d of %d (%.2f per second): %s", step + 1, config.steps, rate, shown)
        if time.monotonic() - saved > config.save_every_seconds or step + 1 == config.steps:
            save(step + 1)
            saved = time.monotonic()
    network.load_state_dict(average)
    network.eval()
    return seconds_before + time.monotonic() - began


def _average(average: dict[str, Tensor], current: Mapping[str, Tensor], decay: float) -> None:
    for key, value in current.items():
        if value.is_floating_point():
            average[key].lerp_(value, 1 - decay)
        else:
            average[key].copy_(value)


def _prefetched(
    batch: Callable[[np.random.Generator], BatchT], seed: int, first: int, steps: int
) -> Iterator[tuple[int, BatchT]]:
    """Batches of steps `first` to `steps` - 1, each made by a thread while the one before is learnt from."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(batch, np.random.default_rng([seed, first]))
        for step in range(first, steps):
            ready = coming
            coming = pool.submit(batch, np.random.default_rng([seed, step + 1]))
            yield step, ready.result()
        coming.cancel()
