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
    """Causal convolution and scan in one direction. Parameter names are those of mamba_ssm's `Mamba`."""

    def __init__(self, inner: int, rank: int, config: MambaConfig) -> None:
        super().__init__()
        self.rank, self.state = rank, config.state
        self.conv1d = nn.Conv1d(inner, inner, config.convolution, groups=inner)
        self.x_proj = nn.Linear(inner, rank + 2 * config.state, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.arange(1, config.state + 1).float().log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        # Initial step sizes, the softplus of the bias, are log-uniform in 0.001 … 0.1 (§3.6).
        nn.init.uniform_(self.dt_proj.weight, -(rank**-0.5), rank**-0.5)
        with torch.no_grad():
            step = torch.exp(torch.empty(inner).uniform_(math.log(1e-3), math.log(1e-1)))
            self.dt_proj.bias.copy_(step.expm1().log())

    def forward(self, x_FMD: Tensor) -> Tensor:
        """Inputs and outputs are (F, M, D)."""
        x_FMD = functional.silu(self._convolved(x_FMD))
        step, b, c = self.x_proj(x_FMD).split([self.rank, self.state, self.state], -1)
        delta = functional.softplus(self.dt_proj(step))
        decay = -self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)).exp()
        scanned = selective_scan(x_FMD, delta, decay, b, c)
        return scanned + self.D.to(x_FMD.dtype) * x_FMD

    def _convolved(self, x_FMD: Tensor) -> Tensor:
        """Causal depthwise convolution over frames, computed as a sum of shifted frames, one per tap."""
        weight, bias = self.conv1d.weight[:, 0], self.conv1d.bias
        assert bias is not None
        taps = weight.shape[1]
        padded = functional.pad(x_FMD, (0, 0, 0, 0, taps - 1, 0))
        out = bias + padded[taps - 1 :] * weight[:, -1]
        for tap in range(taps - 1):
            out = out + padded[tap : tap + len(x_FMD)] * weight[:, tap]
        return out


class Mamba(nn.Module):
    """Mamba layer with a zero-initialised output projection. Both directions share one gate."""

    def __init__(self, width: int, config: MambaConfig) -> None:
        super().__init__()
        inner, rank = config.expand * width, math.ceil(width / 16)
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.forward_scan = SelectiveScan(inner, rank, config)
        self.backward_scan = SelectiveScan(inner, rank, config) if config.bidirectional else None
        self.out_proj = nn.Linear(inner, width, bias=False)
        nn.init.zeros_(self.out_proj.weight)

    def forward(self, x_FMD: Tensor) -> Tensor:
        """Inputs and outputs are (F, M, D)."""
        x, gate = self.in_proj(x_FMD).chunk(2, -1)
        scanned = self.forward_scan(x)
        if self.backward_scan is not None:
            scanned = scanned + self.backward_scan(x.flip(0)).flip(0)
        out: Tensor = self.out_proj(scanned * functional.silu(gate))
        return out
