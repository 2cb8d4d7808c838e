"""One optimizer step after another, on one process or on many."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from models.common.precision import fast_bfloat16
from models.training import guard
from models.training.ema import EmaWeights
from models.training.muon import muon_and_adamw
from models.training.parallel import World
from models.training.recipe import OptimizerConfig, TrainingRecipe
from models.training.state import copy_whole, load_optimizer_state, optimizer_state, whole

BatchT = TypeVar("BatchT")
TaskBatch_contra = TypeVar("TaskBatch_contra", contravariant=True)


class TrainingTask(Protocol[TaskBatch_contra]):
    """An animation system as something to train."""

    @property
    def network(self) -> nn.Module:
        """All that may learn. Nothing frozen that is only read (VAE, image encoder) belongs to it."""

    def learns(self, name: str) -> bool:
        """Whether the stage trains the parameter of this name."""

    def shards(self) -> Sequence[nn.Module]:
        """Parts of the network that FSDP gathers one by one, innermost first."""

    def row_losses(self, network: nn.Module, batch: TaskBatch_contra) -> Tensor:
        """(B) float32, one loss per row; `network` is `self.network`, perhaps wrapped, and to be called once.

        The same parameters must take part whatever the rows: FSDP joins gradients as they come, and a worker whose rows
        leave a part out would give others than the next.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One step. `step`: 1 first. `loss`: mean over the whole batch. `grad_norm`: before clipping.
    `learning_rate`: without factors.
    """

    step: int
    loss: float
    grad_norm: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingState:
    """All that a run needs to go on.

    `weights`: of the whole network, averaged where the recipe averages: what is used afterwards.
    `own`: the weights that learn as they are, where `weights` holds their average.
    `history`: (steps, 3) float64: loss, norm of the gradient and learning rate of every step so far.
    """

    step: int
    weights: dict[str, Tensor]
    own: dict[str, Tensor]
    optimizer: dict[str, dict[str, Any]]
    history: Tensor


class Trainer(Generic[BatchT]):
    """A network, its optimizer and the average of its weights.

    Raises:
        ValueError: the recipe names parameters that there are not, leaves nothing that learns, or asks for what the
            network cannot do; the batch does not divide among the workers.
    """

    def __init__(self, task: TrainingTask[BatchT], recipe: TrainingRecipe, world: World) -> None:
        self.task, self.recipe, self.world = task, recipe, world
        self.step = 0
        self._bfloat16 = fast_bfloat16(world.device) if recipe.precision == "auto" else recipe.precision == "bfloat16"
        self._losses: list[float] = []
        self._norms: list[float] = []
        self._rates: list[float] = []
        recipe.micro_batch(world.size)
        if recipe.optimizer.name == "muon" and world.size > 1 and world.strategy == "fsdp":
            raise ValueError("optimizer.name 'muon' needs whole matrices; with FSDP use 'adamw', or train with DDP")
        network = task.network.to(world.device).train()
        _choose(network, task, recipe)
        if recipe.gradient_checkpointing:
            _checkpoint_gradients(network)
        self._wrapped = world.wrap(network, task.shards())
        # After wrapping: FSDP puts parameters of its own in place.
        self._learning = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self._optimizers = _optimizers(self._learning, recipe.optimizer)
        self._average = EmaWeights(self._learning, decay=recipe.ema_decay) if recipe.ema_decay else None

    @property
    def num_trainable(self) -> int:
        """Number of trainable scalars in the network."""
        return sum(p.numel() for _, p in self._learning)

    def train_step(self, micro_batches: Sequence[BatchT]) -> StepReport:
        """Learn from one batch, this process's share of it, in its micro-batches.

        Raises:
            DivergedError: in all processes alike; the weights are those of the step before.
        """
        recipe, config = self.recipe, self.recipe.optimizer
        rate = config.rate(self.step, recipe.steps)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["lr_multiplier"]
            optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.world.device)
        for index, batch in enumerate(micro_batches):
            last = index == len(micro_batches) - 1
            with self.world.accumulating(self._wrapped, last=last):
                with torch.autocast(self.world.device.type, dtype=torch.bfloat16, enabled=self._bfloat16):
                    losses = self.task.row_losses(self._wrapped, batch)
                loss = losses.mean() / len(micro_batches)
                loss.backward()  # type: ignore[no-untyped-call]  # torch's own is untyped
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_([p for _, p in self._learning], config.max_grad_norm)
        report = StepReport(
            step=self.step + 1, loss=self.world.mean(total), grad_norm=float(whole(norm)), learning_rate=rate
        )
        guard.check(report.step, report.loss, report.grad_norm, self._losses, recipe.guard)
        for optimizer in self._optimizers:
            optimizer.step()
        if self._average is not None:
            self._average.update(self.step)
        for kept, value in zip(
            (self._losses, self._norms, self._rates), (report.loss, report.grad_norm, rate), strict=True
        ):
            kept.append(value)
        self.step += 1
        return report

    def state(self) -> TrainingState:
        """A copy on the CPU; all processes must call it."""
        own = {} if self._average is None else {name: whole(parameter) for name, parameter in self._learning}
        with self._averaged():
            weights = {name: whole(value) for name, value in self.task.network.state_dict().items()}
        return TrainingState(
            step=self.step,
            weights=weights,
            own=own,
            optimizer=optimizer_state(self._optimizers, self._learning),
            history=torch.tensor([self._losses, self._norms, self._rates], dtype=torch.float64).T.contiguous(),
        )

    def load(self, state: TrainingState) -> None:
        """Go on from there.

        Raises:
            ValueError: it is of another network.
        """
        self._load_weights(state.weights)
        if self._average is not None:
            for name, average in self._average.weights.items():
                copy_whole(average, state.weights[name])
            for name, parameter in self._learning:
                copy_whole(parameter, state.own[name])
        load_optimizer_state(self._optimizers, self._learning, state.optimizer)
        self._losses, self._norms, self._rates = state.history.T.tolist()
        self.step = state.step

    def _averaged(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._average is None else self._average.in_place()

    def _load_weights(self, weights: Mapping[str, Tensor]) -> None:
        expected = self.task.network.state_dict()
        if expected.keys() != weights.keys():
            strange = sorted(expected.keys() ^ weights.keys())
            raise ValueError(
                f"the checkpoint is of another network; it differs in {strange[:3]} ({len(strange)} in all)"
            )
        for name, value in expected.items():
            copy_whole(value, weights[name])


def _choose(network: nn.Module, task: TrainingTask[Any], recipe: TrainingRecipe) -> None:
    """Parameters that the network itself has frozen stay so."""
    names = [name for name, _ in network.named_parameters()]
    for prefix in recipe.frozen:
        if not any(name.startswith(prefix) for name in names):
            raise ValueError(f"frozen: no parameter begins with '{prefix}'; the first is {names[0]}")
    for name, parameter in network.named_parameters():
        if not task.learns(name) or name.startswith(recipe.frozen):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(f"nothing is left that learns in stage {recipe.stage} with frozen {list(recipe.frozen)}")


def _optimizers(learning: Sequence[tuple[str, nn.Parameter]], config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    groups, rate, decay = _rate_groups(learning, config), config.learning_rate, config.weight_decay
    if config.name == "muon":
        return muon_and_adamw(groups, lr=rate, weight_decay=decay, betas=config.betas)
    return [torch.optim.AdamW(groups, lr=rate, betas=config.betas, weight_decay=decay, fused=True)]


def _rate_groups(learning: Sequence[tuple[str, nn.Parameter]], config: OptimizerConfig) -> list[dict[str, Any]]:
    """Parameters with their shares of the learning rate, as an optimizer takes them."""
    groups: dict[float, list[nn.Parameter]] = {}
    for prefix in config.lr_multipliers:
        if not any(name.startswith(prefix) for name, _ in learning):
            raise ValueError(f"lr_multipliers: no trainable parameter begins with '{prefix}'; first: {learning[0][0]}")
    for name, parameter in learning:
        factors = [factor for prefix, factor in config.lr_multipliers.items() if name.startswith(prefix)]
        groups.setdefault(math.prod(factors), []).append(parameter)
    return [{"params": parameters, "lr_multiplier": factor} for factor, parameters in groups.items()]


def _checkpoint_gradients(network: nn.Module) -> None:
    able = [module for module in network.modules() if hasattr(module, "gradient_checkpointing")]
    if not able:
        raise ValueError(f"{type(network).__name__} cannot checkpoint gradients; set gradient_checkpointing: false")
    for module in able:
        module.gradient_checkpointing = True  # type: ignore[assignment]  # nn.Module types attributes as tensors
