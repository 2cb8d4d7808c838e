"""Optimizer steps, EMA and resumable state of a network in training, on one process or several."""

from __future__ import annotations

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
from models.training.recipe import OptimizationRecipe, OptimizerConfig
from models.training.state import OptimizerState, copy_from_full, full_on_cpu, load_optimizer_state, optimizer_state

BatchT = TypeVar("BatchT")
TaskBatch_contra = TypeVar("TaskBatch_contra", contravariant=True)


class TrainingTask(Protocol[TaskBatch_contra]):
    """Network and loss to train."""

    @property
    def network(self) -> nn.Module:
        """Trained network, without frozen networks that only provide inputs (VAE, image encoder)."""

    def learns(self, name: str) -> bool:
        """Whether to train the parameter of this name."""

    def shards(self) -> Sequence[nn.Module]:
        """Submodules to shard individually with FSDP, innermost first."""

    def row_losses(self, network: nn.Module, batch: TaskBatch_contra) -> Tensor:
        """Losses of a micro-batch, whose mean is minimised.

        Every call must use the same parameters, whatever the rows: FSDP reduces gradients in the order in which they
        are computed, which must be the same in all workers.

        Args:
            network: `self.network`, possibly wrapped for DDP or FSDP; call its `forward` once.

        Returns:
            (B) float32, one loss per row; or (1) for a loss defined on the batch as a whole, such as a contrastive one.
            With accumulation or several workers, a batch loss is averaged over micro-batches.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """Metrics of one step.

    `step`: 1-based. `loss`: mean over the batch of all workers. `grad_norm`: before clipping. `learning_rate`: before
    multipliers.
    """

    step: int
    loss: float
    grad_norm: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingState:
    """State to resume a run from. All tensors are full (unsharded) and on the CPU.

    `weights`: state dict of the network for inference, averaged (EMA) if the recipe sets `ema_decay`.
    `raw_weights`: current values of the averaged tensors; empty without EMA.
    `history`: (steps, 3) float64: loss, gradient norm and learning rate of every step so far.
    """

    step: int
    weights: dict[str, Tensor]
    raw_weights: dict[str, Tensor]
    optimizer: OptimizerState
    history: Tensor


class Trainer(Generic[BatchT]):
    """Trains the network of a task.

    Raises:
        ValueError: the recipe names parameters that do not exist, freezes all parameters, or enables a feature that the
            network does not support; the batch does not divide evenly among the workers.
    """

    def __init__(self, task: TrainingTask[BatchT], recipe: OptimizationRecipe, world: World) -> None:
        self.task, self.recipe, self.world = task, recipe, world
        self.step = 0
        self._use_bfloat16 = (
            fast_bfloat16(world.device) if recipe.precision == "auto" else recipe.precision == "bfloat16"
        )
        self._losses: list[float] = []
        self._grad_norms: list[float] = []
        self._learning_rates: list[float] = []
        recipe.micro_batch(world.size)
        if recipe.optimizer.name == "muon" and world.size > 1 and world.strategy == "fsdp":
            raise ValueError("optimizer.name 'muon' needs unsharded matrices; with FSDP use 'adamw', or train with DDP")
        network = task.network.to(world.device).train()
        _freeze(network, task, recipe)
        if recipe.gradient_checkpointing:
            _enable_gradient_checkpointing(network)
        self._wrapped = world.wrap(network, task.shards())
        # After wrapping: FSDP replaces parameters by sharded ones.
        self._trainable = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self._optimizers = _optimizers(self._trainable, recipe.optimizer)
        self._averaged = {**dict(self._trainable), **_float_buffers(network)} if recipe.ema_decay else {}
        self._ema = EmaWeights(self._averaged, decay=recipe.ema_decay)

    @property
    def num_trainable(self) -> int:
        """Number of trainable scalars in the network."""
        return sum(p.numel() for _, p in self._trainable)

    def train_step(self, micro_batches: Sequence[BatchT]) -> StepReport:
        """Run one optimizer step on the micro-batches of this process.

        Raises:
            DivergedError: raised in all processes together; the weights are those before this step.
        """
        recipe, config = self.recipe, self.recipe.optimizer
        learning_rate = config.lr_at(self.step, recipe.steps)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group["lr_multiplier"]
            optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.world.device)
        for index, batch in enumerate(micro_batches):
            last = index == len(micro_batches) - 1
            with self.world.accumulating(self._wrapped, last=last):
                with torch.autocast(self.world.device.type, dtype=torch.bfloat16, enabled=self._use_bfloat16):
                    losses = self.task.row_losses(self._wrapped, batch)
                loss = losses.mean() / len(micro_batches)
                loss.backward()  # type: ignore[no-untyped-call]  # torch's own is untyped
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_([p for _, p in self._trainable], config.max_grad_norm)
        report = StepReport(
            step=self.step + 1,
            loss=self.world.mean(total),
            grad_norm=float(full_on_cpu(norm)),
            learning_rate=learning_rate,
        )
        guard.check(report.step, report.loss, report.grad_norm, self._losses, recipe.guard)
        for optimizer in self._optimizers:
            optimizer.step()
        self._ema.update(self.step)
        self._losses.append(report.loss)
        self._grad_norms.append(report.grad_norm)
        self._learning_rates.append(learning_rate)
        self.step += 1
        return report

    def state(self) -> TrainingState:
        """Copy of the training state. Collective: call in all processes."""
        raw_weights = {name: full_on_cpu(tensor) for name, tensor in self._averaged.items()}
        with self._ema.swapped_in():
            weights = {name: full_on_cpu(value) for name, value in self.task.network.state_dict().items()}
        return TrainingState(
            step=self.step,
            weights=weights,
            raw_weights=raw_weights,
            optimizer=optimizer_state(self._optimizers, self._trainable),
            history=torch.tensor(
                [self._losses, self._grad_norms, self._learning_rates], dtype=torch.float64
            ).T.contiguous(),
        )

    def load(self, state: TrainingState) -> None:
        """Resume from a training state.

        Raises:
            ValueError: the state belongs to another network.
        """
        self._load_weights(state.weights)
        for name, tensor in self._averaged.items():
            copy_from_full(self._ema.weights[name], state.weights[name])
            copy_from_full(tensor, state.raw_weights[name])
        load_optimizer_state(self._optimizers, self._trainable, state.optimizer)
        self._losses, self._grad_norms, self._learning_rates = state.history.T.tolist()
        self.step = state.step

    def _load_weights(self, weights: Mapping[str, Tensor]) -> None:
        expected = self.task.network.state_dict()
        if expected.keys() != weights.keys():
            mismatched = sorted(expected.keys() ^ weights.keys())
            raise ValueError(
                f"the checkpoint is of another network; it differs in {mismatched[:3]} ({len(mismatched)} in all)"
            )
        for name, value in expected.items():
            copy_from_full(value, weights[name])


def _float_buffers(network: nn.Module) -> dict[str, Tensor]:
    """Floating-point buffers in the state dict, such as running statistics of batch normalisation."""
    persistent = network.state_dict().keys()
    return {name: b for name, b in network.named_buffers() if name in persistent and b.is_floating_point()}


def _freeze(network: nn.Module, task: TrainingTask[Any], recipe: OptimizationRecipe) -> None:
    """Freezes parameters excluded by the task or the recipe; parameters frozen before stay frozen."""
    names = [name for name, _ in network.named_parameters()]
    for prefix in recipe.frozen:
        if not any(name.startswith(prefix) for name in names):
            raise ValueError(f"frozen: no parameter begins with '{prefix}'; the first is {names[0]}")
    for name, parameter in network.named_parameters():
        if not task.learns(name) or name.startswith(recipe.frozen):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(f"no trainable parameter is left with frozen {list(recipe.frozen)}; remove prefixes from it")


def _optimizers(trainable: Sequence[tuple[str, nn.Parameter]], config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    groups, lr, decay = _parameter_groups(trainable, config), config.learning_rate, config.weight_decay
    if config.name == "muon":
        return muon_and_adamw(groups, lr=lr, weight_decay=decay, betas=config.betas)
    return [torch.optim.AdamW(groups, lr=lr, betas=config.betas, weight_decay=decay, fused=True)]


def _parameter_groups(trainable: Sequence[tuple[str, nn.Parameter]], config: OptimizerConfig) -> list[dict[str, Any]]:
    """One optimizer parameter group per learning rate multiplier."""
    groups: dict[float, list[nn.Parameter]] = {}
    for prefix in config.lr_multipliers:
        if not any(name.startswith(prefix) for name, _ in trainable):
            raise ValueError(f"lr_multipliers: no trainable parameter begins with '{prefix}'; first: {trainable[0][0]}")
    for name, parameter in trainable:
        multipliers = [value for prefix, value in config.lr_multipliers.items() if name.startswith(prefix)]
        groups.setdefault(math.prod(multipliers), []).append(parameter)
    return [{"params": parameters, "lr_multiplier": multiplier} for multiplier, parameters in groups.items()]


def _enable_gradient_checkpointing(network: nn.Module) -> None:
    modules = [module for module in network.modules() if hasattr(module, "gradient_checkpointing")]
    if not modules:
        raise ValueError(f"{type(network).__name__} cannot checkpoint gradients; set gradient_checkpointing: false")
    for module in modules:
        module.gradient_checkpointing = True  # type: ignore[assignment]  # nn.Module types attributes as tensors
