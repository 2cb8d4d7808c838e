"""Minimal training task: a small network with a condition layer that only some rows use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.training.parallel import World
from models.training.recipe import OptimizerConfig, TrainingRecipe
from models.training.trainer import Trainer


class LineNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        self.condition = nn.Linear(3, 1)
        self.unused = nn.Linear(3, 1)
        self.gradient_checkpointing = False

    def forward(self, x_BD: Tensor, conditional_B: Tensor) -> Tensor:
        out = self.body(x_BD)
        rows = conditional_B.nonzero()[:, 0]
        added = torch.zeros_like(out).index_add(0, rows, self.condition(x_BD[rows]))
        # Keeps the condition layer in the graph without conditional rows.
        return (out + added + 0 * self.condition(x_BD[:1]))[:, 0]


@dataclass(frozen=True)
class LineBatch:
    x_BD: Tensor
    conditional_B: Tensor


class LineTask:
    def __init__(self, *, factor: float = 1.0) -> None:
        torch.manual_seed(0)
        self.network = LineNet()
        self.factor = factor

    def learns(self, name: str) -> bool:
        return not name.startswith("unused.bias")

    def shards(self) -> Sequence[nn.Module]:
        return [self.network.body]

    def row_losses(self, network: nn.Module, batch: LineBatch) -> Tensor:
        target = batch.x_BD.sum(1) + batch.conditional_B.float()
        return (network(batch.x_BD, batch.conditional_B) - target).square() * self.factor


def recipe(**changes: object) -> TrainingRecipe:
    settings: dict[str, object] = {
        "steps": 8,
        "batch_size": 8,
        "ema_decay": 0.5,
        "optimizer": OptimizerConfig(learning_rate=1e-2, warmup_steps=3, decay="cosine", max_grad_norm=0.5),
    }
    return TrainingRecipe(**{**settings, **changes})  # type: ignore[arg-type]


def micro_batches(step: int, settings: TrainingRecipe, world: World) -> list[LineBatch]:
    """This worker's micro-batches of step `step` (0-based); some have no conditional rows."""
    generator = torch.Generator().manual_seed(step)
    x_BD = torch.randn(settings.batch_size, 3, generator=generator)
    conditional_B = torch.arange(settings.batch_size) < (0, 4, 6)[step % 3]
    size = settings.micro_batch(world.size)
    first = world.rank * settings.accumulation * size
    parts = [slice(first + i * size, first + (i + 1) * size) for i in range(settings.accumulation)]
    return [LineBatch(x_BD[part], conditional_B[part]) for part in parts]


def run(trainer: Trainer[LineBatch], last_step: int | None = None) -> list[float]:
    """Runs steps from `trainer.step` up to `last_step`; returns their losses."""
    settings = trainer.recipe
    return [
        trainer.train_step(micro_batches(step, settings, trainer.world)).loss
        for step in range(trainer.step, last_step or settings.steps)
    ]
