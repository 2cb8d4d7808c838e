"""Full (unsharded) tensors and optimizer state on the CPU, independent of the number of processes and the sharding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

# Not torch.distributed.checkpoint.state_dict, whose setter fails for a parameter that never had a gradient, or with
# strict=False gives it a state, so that the resumed run differs from the unbroken one.
OptimizerState = dict[str, dict[str, Any]]
"""Parameter name -> optimizer state of the parameter. A parameter that never had a gradient has no entry."""


def full_on_cpu(tensor: Tensor) -> Tensor:
    """Copy on the CPU, gathered from all processes if sharded. Collective: call in all processes."""
    full = tensor.detach()
    if isinstance(full, DTensor):
        full = full.full_tensor()
    return full.to("cpu", copy=True)


def copy_from_full(target: Tensor, source: Tensor) -> None:
    """Copy a full tensor into `target`, which may be sharded. Raises ValueError if shapes differ."""
    if target.shape != source.shape:
        raise ValueError(f"got a tensor of {tuple(source.shape)} for one of {tuple(target.shape)}")
    with torch.no_grad():
        target.copy_(_distributed_like(source, target))


def optimizer_state(
    optimizers: Iterable[torch.optim.Optimizer], named_parameters: Iterable[tuple[str, nn.Parameter]]
) -> OptimizerState:
    """Full optimizer state by parameter name, on the CPU. Collective: call in all processes."""
    owners = _optimizer_by_parameter(optimizers)
    return {
        name: {key: full_on_cpu(value) if isinstance(value, Tensor) else value for key, value in state.items()}
        for name, parameter in named_parameters
        if (state := owners[parameter].state.get(parameter))
    }


def load_optimizer_state(
    optimizers: Iterable[torch.optim.Optimizer],
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    state: Mapping[str, Mapping[str, Any]],
) -> None:
    """Restore the state returned by `optimizer_state`."""
    owners = _optimizer_by_parameter(optimizers)
    for name, parameter in named_parameters:
        if name in state:
            owners[parameter].state[parameter] = {
                key: _distributed_like(value, parameter) if isinstance(value, Tensor) else value
                for key, value in state[name].items()
            }


def _optimizer_by_parameter(
    optimizers: Iterable[torch.optim.Optimizer],
) -> dict[nn.Parameter, torch.optim.Optimizer]:
    return {p: optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}


def _distributed_like(source: Tensor, target: Tensor) -> Tensor:
    """Copy of `source` on the device of `target`, sharded like `target` if the shapes match (step counts do not)."""
    source = source.to(target.device, copy=True)
    if isinstance(target, DTensor) and source.shape == target.shape:
        return distribute_tensor(source, target.device_mesh, target.placements)
    return source
