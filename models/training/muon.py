"""Muon optimizer (Jordan et al. 2024): update matrices by their orthogonalised momentum.

Orthogonalisation gives all singular directions the same step size, also those with small gradients. Updates are scaled
to the root mean square of AdamW's (arXiv 2502.16982, equation 4), so both share one learning rate and weight decay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.common.precision import fast_bfloat16

MIN_SIDE = 8
"""Minimum side of a matrix for Muon; smaller ones have too few singular directions to benefit."""
RMS_OF_ADAMW = 0.2
_QUINTIC = (3.4445, -4.7750, 2.0315)


def suits_muon(parameter: nn.Parameter) -> bool:
    """Whether the parameter, flattened to (out, in · kernel size), is a matrix with both sides >= `MIN_SIDE`."""
    return parameter.ndim >= 2 and min(parameter.flatten(1).shape) >= MIN_SIDE


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay, for parameters accepted by `suits_muon`.

    Args:
        groups: parameter groups.
        lr: learning rate; the root mean square of an update is about `RMS_OF_ADAMW` * lr.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002  (closures are not supported)
        """Perform one optimization step."""
        for group in self.param_groups:
            # Batch matrices of the same shape: one Newton-Schulz iteration for all.
            updates_by_shape: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(state["momentum"], group["momentum"]).flatten(1)
                updates_by_shape.setdefault(update.shape, []).append((parameter, update))
            for shape, updates in updates_by_shape.items():
                steps = orthogonal(torch.stack([update for _, update in updates]))
                scale = -group["lr"] * RMS_OF_ADAMW * math.sqrt(max(shape))
                for (parameter, _), step in zip(updates, steps, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(step.view(parameter.shape), alpha=scale)


def muon_and_adamw(
    groups: Sequence[dict[str, Any]], *, lr: float, weight_decay: float, betas: tuple[float, float] = (0.9, 0.999)
) -> list[torch.optim.Optimizer]:
    """Muon for the parameters accepted by `suits_muon`, AdamW for all others; no optimizer without parameters."""
    matrices = _filtered(groups, suits_muon)
    others = _filtered(groups, lambda parameter: not suits_muon(parameter))
    optimizers: list[torch.optim.Optimizer] = []
    if matrices:
        optimizers.append(Muon(matrices, lr=lr, weight_decay=weight_decay))
    if others:
        optimizers.append(torch.optim.AdamW(others, lr=lr, betas=betas, weight_decay=weight_decay, fused=True))
    return optimizers


def _filtered(groups: Sequence[dict[str, Any]], accept: Callable[[nn.Parameter], bool]) -> list[dict[str, Any]]:
    filtered = [{**group, "params": [p for p in group["params"] if accept(p)]} for group in groups]
    return [group for group in filtered if group["params"]]


def orthogonal(matrices_NRC: Tensor, num_iterations: int = 5) -> Tensor:
    """Orthogonalise matrices by the Newton-Schulz iteration, in bfloat16 on devices with bfloat16 instructions.

    Returns (N, R, C) of the same dtype, with the singular vectors of `matrices_NRC` and singular values of about 0.7 to
    1.2 (less for singular values below a hundredth of the matrix's norm). Zero matrices stay zero.
    """
    tall = matrices_NRC.shape[1] > matrices_NRC.shape[2]
    x = matrices_NRC.mT if tall else matrices_NRC
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if fast_bfloat16(x.device):
        x = x.bfloat16()
    a, b, c = _QUINTIC
    for _ in range(num_iterations):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices_NRC.dtype)
