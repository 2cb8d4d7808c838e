"""The recurrence of a selective state-space model (Mamba, arXiv 2312.00752, algorithm 2), forward and backward.

    h_t = exp(Δ_t A) h_{t−1} + Δ_t x_t B_t,    y_t = C_t · h_t,    h_0 = 0

On a CPU an in-place loop over frames is fastest: parallel scans are bound by memory bandwidth, and a cumulative sum
with a division overflows within 32 frames. On a GPU the kernels of `mamba_ssm` are used if installed, otherwise the
same loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# F frames, M sequences, D width, S state

NUMBERS_ON_CPU = 1 << 18
"""Elements of the state in one chunk of the forward pass, so that it stays in the CPU's cache."""
NUMBERS_KEPT_ON_CPU = 1 << 21
"""Elements of the states of all frames in one chunk of the backward pass."""
NUMBERS_ELSEWHERE = 1 << 26
"""Elements in one chunk on other devices."""


def selective_scan(x_FMD: Tensor, delta_FMD: Tensor, A_DS: Tensor, B_FMS: Tensor, C_FMS: Tensor) -> Tensor:
    """Output y (F, M, D), in the dtype of x, of inputs x, step sizes Δ > 0 and A < 0.

    No tensor of size sequences · width · frames · state is allocated. States are float32, or float64 for float64
    inputs. Not twice differentiable.
    """
    kernel = _kernel() if x_FMD.is_cuda else None
    if kernel is not None:
        return _by_kernel(kernel, x_FMD, delta_FMD, A_DS, B_FMS, C_FMS)
    dtype = torch.promote_types(x_FMD.dtype, torch.float32)
    inputs = [t.to(dtype).contiguous() for t in (x_FMD, delta_FMD, A_DS, B_FMS, C_FMS)]
    scanned: Tensor = _Scan.apply(*inputs)  # type: ignore[no-untyped-call]  # torch's own is untyped
    return scanned.to(x_FMD.dtype)


@cache
def _kernel() -> Callable[..., Tensor] | None:
    """`selective_scan_fn` of mamba_ssm, or None if it is not installed."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError:
        return None
    kernel: Callable[..., Tensor] = selective_scan_fn
    return kernel


def _by_kernel(
    kernel: Callable[..., Tensor],
    x_FMD: Tensor,
    delta_FMD: Tensor,
    A_DS: Tensor,
    B_FMS: Tensor,
    C_FMS: Tensor,
) -> Tensor:
    """Call the kernel, whose arguments are (sequence, width or state, frame)."""
    x, delta, b, c = (t.permute(1, 2, 0).contiguous() for t in (x_FMD, delta_FMD, B_FMS, C_FMS))
    scanned = kernel(x, delta.to(x.dtype), A_DS.float(), b.to(x.dtype), c.to(x.dtype))
    return scanned.permute(2, 0, 1).to(x_FMD.dtype)


class _Scan(torch.autograd.Function):
    """Scan in chunks of sequences, which bounds intermediate tensors; the backward pass recomputes the states.

    States are (sequence, state, width): with the width last, sums over the state are vector-matrix products.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        ctx.save_for_backward(x, delta, a, b, c)
        frames, _, width = x.shape
        rates = a.t().contiguous()
        y = torch.empty_like(x)
        for chunk in _chunks(x, a, 1):
            dx = delta[:, chunk] * x[:, chunk]
            state = x.new_zeros(dx.shape[1], a.shape[1], width)
            decay = torch.empty_like(state)
            for t in range(frames):
                torch.mul(delta[t, chunk, None], rates, out=decay).exp_()
                state.mul_(decay).addcmul_(b[t, chunk, :, None], dx[t, :, None])
                torch.bmm(c[t, chunk, None], state, out=y[t, chunk, None])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor, ...]:
        x, delta, a, b, c = ctx.saved_tensors
        frames = len(x)
        rates, grad_y = a.t().contiguous(), grad_y.contiguous()
        grad_x, grad_delta, grad_b, grad_c = (torch.empty_like(t) for t in (x, delta, b, c))
        grad_rates = torch.zeros_like(rates)
        for chunk in _chunks(x, a, 2 * frames):
            dx = delta[:, chunk] * x[:, chunk]
            shape = (dx.shape[1], *rates.shape)
            decays, states = x.new_empty(frames, *shape), x.new_empty(frames, *shape)
            for t in range(frames):
                torch.mul(delta[t, chunk, None], rates, out=decays[t]).exp_()
                if t:
                    torch.mul(states[t - 1], decays[t], out=states[t])
                else:
                    states[t].zero_()
                states[t].addcmul_(b[t, chunk, :, None], dx[t, :, None])
            grad_state = x.new_zeros(shape)
            for t in reversed(range(frames)):
                grad_state.addcmul_(c[t, chunk, :, None], grad_y[t, chunk, None])
                grad_c[t, chunk] = torch.bmm(states[t], grad_y[t, chunk, :, None])[..., 0]
                grad_b[t, chunk] = torch.bmm(grad_state, dx[t, :, :, None])[..., 0]
                grad_dx = torch.bmm(b[t, chunk, None], grad_state)[:, 0]
                grad_state.mul_(decays[t])
                grad_delta[t, chunk] = grad_dx * x[t, chunk]
                torch.mul(grad_dx, delta[t, chunk], out=grad_x[t, chunk])
                if t:  # gradient of Δ A, through the decay
                    exponent = torch.mul(grad_state, states[t - 1], out=decays[t])
                    grad_rates += (exponent * delta[t, chunk, None]).sum(0)
                    grad_delta[t, chunk] += exponent.mul_(rates).sum(1)
        return grad_x, grad_delta, grad_rates.t(), grad_b, grad_c


def _chunks(x: Tensor, a: Tensor, num_states: int) -> list[slice]:
    """Chunks of sequences such that `num_states` states of each sequence stay within the limits above."""
    limit = NUMBERS_ELSEWHERE
    if x.device.type == "cpu":
        limit = NUMBERS_ON_CPU if num_states == 1 else NUMBERS_KEPT_ON_CPU
    count = max(1, limit // (a.numel() * num_states))
    return [slice(start, min(start + count, x.shape[1])) for start in range(0, x.shape[1], count)]
