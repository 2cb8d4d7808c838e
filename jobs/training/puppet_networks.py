"""Single-process training of the networks embedded in the package, resumable at any step."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from jobs.training.account import NetworkAccount
from models.common.atomic import atomic_path
from models.common.digest import CheckpointError
from models.common.torch_file import load_torch_file
from models.training.loss_terms import LossTermsTask
from models.training.parallel import World
from models.training.recipe import OptimizationRecipe, OptimizerConfig
from models.training.trainer import Trainer, TrainingState

logger = logging.getLogger(__name__)
BatchT = TypeVar("BatchT")

LOG_EVERY_STEPS = 50
SAVE_EVERY_SECONDS = 120.0
LOG_SMOOTHING = 0.95
"""Decay per step of the moving averages of loss terms in log lines."""


def puppet_network_recipe(
    *, steps: int, batch_size: int = 32, learning_rate: float = 2e-3, warmup_steps: int = 100
) -> OptimizationRecipe:
    """Recipe shared by the embedded networks: Muon and AdamW, cosine decay, EMA of the weights.

    Its precision is float32 because the loss functions select bfloat16 for parts of the forward pass themselves.
    """
    return OptimizationRecipe(
        steps=steps,
        batch_size=batch_size,
        optimizer=OptimizerConfig(
            name="muon", learning_rate=learning_rate, warmup_steps=warmup_steps, decay="cosine", max_grad_norm=5.0
        ),
        ema_decay=0.998,
    )


def train_network(
    task: LossTermsTask[Any, BatchT],
    recipe: OptimizationRecipe,
    *,
    draw_batch: Callable[[np.random.Generator, int], BatchT],
    account: NetworkAccount,
    save_every_seconds: float = SAVE_EVERY_SECONDS,
) -> float:
    """Train the task's network in place and leave it with the averaged weights, in evaluation mode.

    Args:
        draw_batch: (random generator, batch size) -> batch. Called in a thread, one step ahead. The generator's seed
            is [recipe.seed, step].
        account: is kept up to date. Its `state_path` is the training state, replaced atomically every
            `save_every_seconds` and after the last step. If it exists, training resumes from it.

    Returns:
        Training time in seconds, over all attempts.

    Raises:
        DivergedError: see `GuardConfig`.
    """
    trainer: Trainer[BatchT] = Trainer(task, recipe, World())
    earlier_seconds = 0.0
    if account.state_path.exists():
        earlier_seconds = _load(trainer, account.state_path)
        account.step = account.saved_step = trainer.step
        logger.info("continuing at step %d of %d", trainer.step, recipe.steps)
    first_step = trainer.step
    started = saved = time.monotonic()
    smoothed: dict[str, float] = {}
    for micro_batches in _prefetched(draw_batch, recipe, first_step):
        report = trainer.train_step(micro_batches)
        for name, value in task.last_terms.items():
            smoothed[name] = LOG_SMOOTHING * smoothed.get(name, value) + (1 - LOG_SMOOTHING) * value
        account.step, account.losses = report.step, dict(smoothed)
        is_last, now = report.step == recipe.steps, time.monotonic()
        if is_last or report.step % LOG_EVERY_STEPS == 0:
            speed = (report.step - first_step) / (now - started)
            terms = ", ".join(f"{name} {value:.4f}" for name, value in smoothed.items())
            logger.info("step %d of %d (%.2f per second): %s", report.step, recipe.steps, speed, terms)
        if is_last or now - saved > save_every_seconds:
            _save(trainer, account.state_path, seconds=earlier_seconds + now - started)
            saved, account.saved_step = now, report.step
    task.network.load_state_dict(trainer.state().weights)
    task.network.eval()
    return earlier_seconds + time.monotonic() - started


def _save(trainer: Trainer[Any], path: Path, *, seconds: float) -> None:
    state = trainer.state()
    content = {field.name: getattr(state, field.name) for field in fields(state)}
    with atomic_path(path) as temporary:
        torch.save({**content, "seconds": seconds}, temporary)


def _load(trainer: Trainer[Any], path: Path) -> float:
    """Restore the trainer; returns the training time so far in seconds. Raises CheckpointError."""
    content = load_torch_file(path)
    try:
        seconds = float(content.pop("seconds"))
        state = TrainingState(**content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is no training state; delete it to begin anew") from error
    trainer.load(state)
    return seconds


def _prefetched(
    draw_batch: Callable[[np.random.Generator, int], BatchT], recipe: OptimizationRecipe, first_step: int
) -> Iterator[list[BatchT]]:
    """Micro-batches of every step from `first_step` (0-based) on; a thread draws the next step's during a step."""
    size = recipe.micro_batch(1)

    def draw(step: int) -> list[BatchT]:
        rng = np.random.default_rng([recipe.seed, step])
        return [draw_batch(rng, size) for _ in range(recipe.accumulation)]

    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = (pool.submit(draw, step) for step in range(first_step, recipe.steps))
        current = next(pending, None)
        while current is not None:
            following = next(pending, None)
            yield current.result()
            current = following
