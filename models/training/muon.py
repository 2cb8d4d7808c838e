"""Muon (Jordan et al. 2024): the momentum of a matrix, made orthogonal, is the step that it takes.

All directions of a matrix then learn alike, however rarely the data ask for them. Steps have the size of AdamW's
(arXiv 2502.16982, equation 4), so that a learning rate and a weight decay mean the same in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.common.precision import fast_bfloat16

MIN_SIDE = 8
"""Below it a matrix has too few directions for orthogonality to mean much."""
RMS_OF_ADAMW = 0.2
_QUINTIC = (3.4445, -4.7750, 2.0315)


def suits_muon(parameter: nn.Parameter) -> bool:
    """Whether it is a matrix, or a convolution's kernel as the matrix (out, in · extent), with both sides of some
    length.
    """
    return parameter.ndim >= 2 and min(parameter.flatten(1).shape) >= MIN_SIDE


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay, for parameters that `suits_muon` takes.

    Args:
        groups: parameters, or groups of them as every optimizer takes them.
        lr: a step moves a matrix's elements by `RMS_OF_ADAMW` of it in the root mean square.
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
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002  (none is ever given)
        """One step from the gradients as they are."""
        for group in self.param_groups:
            # Matrices of one shape are made orthogonal together.
            alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                kept = self.state[parameter]
                if not kept:
                    kept["momentum"] = torch.zeros_like(parameter)
                kept["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(kept["momentum"], group["momentum"]).flatten(1)
                alike.setdefault(ahead.shape, []).append((parameter, ahead))
            for shape, members in alike.items():
                steps = orthogonal(torch.stack([ahead for _, ahead in members]))
                size = -group["lr"] * RMS_OF_ADAMW * math.sqrt(max(shape))
                for (parameter, _), step in zip(members, steps, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(step.view(parameter.shape), alpha=size)


def muon_and_adamw(
    groups: Sequence[dict[str, Any]], *, lr: float, weight_decay: float, betas: tuple[float, float] = (0.9, 0.999)
) -> list[torch.optim.Optimizer]:
    """Muon for what `suits_muon` of the groups, AdamW for the others; only those that have something to move."""
    matrices, others = _only(groups, suits_muon), _only(groups, lambda parameter: not suits_muon(parameter))
    optimizers: list[torch.optim.Optimizer] = []
    if matrices:
        optimizers.append(Muon(matrices, lr=lr, weight_decay=weight_decay))
    if others:
        optimizers.append(torch.optim.AdamW(others, lr=lr, betas=betas, weight_decay=weight_decay, fused=True))
    return optimizers


def _only(groups: Sequence[dict[str, Any]], wanted: Callable[[nn.Parameter], bool]) -> list[dict[str, Any]]:
    kept = [{**group, "params": [p for p in group["params"] if wanted(p)]} for group in groups]
    return [group for group in kept if group["params"]]


def orthogonal(matrices_NRC: Tensor, num_iterations: int = 5) -> Tensor:
    """(N, R, C) of the same type: matrices with the singular vectors of `matrices_NRC` and singular values near 1
    (about 0.7 to 1.2, less where one is a hundredth of the matrix's norm), by Newton and Schulz' iteration in
    bfloat16 where that is fast; zero stays zero.
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
