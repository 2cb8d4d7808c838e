"""Mamba (arXiv 2312.00752): a selective state-space layer over a sequence, linear in its length."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.common.unet.config import MambaConfig
from models.common.unet.selective_scan import selective_scan

# F frames, M sequences, D width, S state


class SelectiveScan(nn.Module):
    """Convolution and scan in one direction. Parameters are named as mamba_ssm's `Mamba` names them."""

    def __init__(self, inner: int, rank: int, config: MambaConfig) -> None:
        super().__init__()
        self.rank, self.state = rank, config.state
        self.conv1d = nn.Conv1d(inner, inner, config.convolution, groups=inner)
        self.x_proj = nn.Linear(inner, rank + 2 * config.state, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.arange(1, config.state + 1).float().log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        # Step sizes begin between 0.001 and 0.1, evenly in their logarithm (§3.6): softplus of the bias is the step.
        nn.init.uniform_(self.dt_proj.weight, -(rank**-0.5), rank**-0.5)
        with torch.no_grad():
            step = torch.exp(torch.empty(inner).uniform_(math.log(1e-3), math.log(1e-1)))
            self.dt_proj.bias.copy_(step.expm1().log())

    def forward(self, x_FMD: Tensor) -> Tensor:
        """(F, M, D)."""
        x_FMD = functional.silu(self._convolved(x_FMD))
        step, b, c = self.x_proj(x_FMD).split([self.rank, self.state, self.state], -1)
        delta = functional.softplus(self.dt_proj(step))
        decay = -self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()
        scanned = selective_scan(x_FMD, delta, decay, b, c)
        return scanned + self.D.to(x_FMD.dtype) * x_FMD

    def _convolved(self, x_FMD: Tensor) -> Tensor:
        """Each channel's convolution over this frame and those before it: shifts of the frames, one for each tap."""
        weight, bias = self.conv1d.weight[:, 0], self.conv1d.bias
        assert bias is not None
        taps = weight.shape[1]
        padded = functional.pad(x_FMD, (0, 0, 0, 0, taps - 1, 0))
        out = bias + padded[taps - 1 :] * weight[:, -1]
        for tap in range(taps - 1):
            out = out + padded[tap : tap + len(x_FMD)] * weight[:, tap]
        return out


class Mamba(nn.Module):
    """The whole layer. Its output begins at zero. The gate is one for both directions."""

    def __init__(self, width: int, config: MambaConfig) -> None:
        super().__init__()
        inner, rank = config.expand * width, math.ceil(width / 16)
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.forward_scan = SelectiveScan(inner, rank, config)
        self.backward_scan = SelectiveScan(inner, rank, config) if config.bidirectional else None
        self.out_proj = nn.Linear(inner, width, bias=False)
        nn.init.zeros_(self.out_proj.weight)

    def forward(self, x_FMD: Tensor) -> Tensor:
        """(F, M, D), frames first."""
        x, gate = self.in_proj(x_FMD).chunk(2, -1)
        scanned = self.forward_scan(x)
        if self.backward_scan is not None:
            scanned = scanned + self.backward_scan(x.flip(0)).flip(0)
        out: Tensor = self.out_proj(scanned * functional.silu(gate))
        return out
