"""What a run is continued from, the same whatever the number of processes and how the network was spread over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

OptimizerState = dict[str, dict[str, Any]]
"""Parameter name -> what the optimizer keeps of it. A parameter that never had a gradient has no entry."""


def whole(tensor: Tensor) -> Tensor:
    """A copy on the CPU, gathered from all processes where each holds a part: all must call it."""
    gathered = tensor.detach()
    if isinstance(gathered, DTensor):
        gathered = gathered.full_tensor()
    return gathered.to("cpu", copy=True)


def copy_whole(target: Tensor, source: Tensor) -> None:
    """Fill `target`, which may be this process's part, from a whole tensor. Raises ValueError if shapes differ."""
    if target.shape != source.shape:
        raise ValueError(f"got a tensor of {tuple(source.shape)} for one of {tuple(target.shape)}")
    with torch.no_grad():
        target.copy_(_like(source, target))


def optimizer_state(
    optimizers: Iterable[torch.optim.Optimizer], named: Iterable[tuple[str, nn.Parameter]]
) -> OptimizerState:
    """The optimizers' state by parameter name, whole and on the CPU."""
    owners = _owners(optimizers)
    return {
        name: {key: whole(value) if isinstance(value, Tensor) else value for key, value in kept.items()}
        for name, parameter in named
        if (kept := owners[parameter].state.get(parameter))
    }


def load_optimizer_state(
    optimizers: Iterable[torch.optim.Optimizer],
    named: Iterable[tuple[str, nn.Parameter]],
    state: Mapping[str, Mapping[str, Any]],
) -> None:
    """Put back what `optimizer_state` gave."""
    owners = _owners(optimizers)
    for name, parameter in named:
        if name in state:
            owners[parameter].state[parameter] = {
                key: _like(value, parameter) if isinstance(value, Tensor) else value
                for key, value in state[name].items()
            }


def _owners(optimizers: Iterable[torch.optim.Optimizer]) -> dict[nn.Parameter, torch.optim.Optimizer]:
    return {p: optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}


def _like(source: Tensor, target: Tensor) -> Tensor:
    """`source` on the device of `target`, and spread as it is if it has its shape (a count of steps has not)."""
    source = source.to(target.device, copy=True)
    if isinstance(target, DTensor) and source.shape == target.shape:
        return distribute_tensor(source, target.device_mesh, target.placements)
    return source
