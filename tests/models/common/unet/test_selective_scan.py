from __future__ import annotations

import math
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from models.common.unet import selective_scan as module
from models.common.unet.selective_scan import selective_scan


def arguments(
    frames: int, sequences: int, width: int, state: int = 16, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(frames + sequences)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    found = (
        normal(frames, sequences, width),
        functional.softplus(normal(frames, sequences, width) - 2),
        -torch.exp(normal(width, state) + 1),
        normal(frames, sequences, state),
        normal(frames, sequences, state),
    )
    return [tensor.to(dtype).requires_grad_() for tensor in found]


def step_by_step(x_FMD: Tensor, delta_FMD: Tensor, A_DS: Tensor, B_FMS: Tensor, C_FMS: Tensor) -> Tensor:
    """The recurrence as the paper writes it, everything kept, gradients by autograd."""
    state = x_FMD.new_zeros(x_FMD.shape[1], *A_DS.shape)
    y = []
    for x, delta, b, c in zip(x_FMD, delta_FMD, B_FMS, C_FMS, strict=True):
        state = torch.exp(delta[..., None] * A_DS) * state + (delta * x)[..., None] * b[:, None]
        y.append((state * c[:, None]).sum(-1))
    return torch.stack(y)


def gradients(y: Tensor, given: list[Tensor]) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
    return torch.autograd.grad((y * weights).sum(), given)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 5, 16), (16, 7, 5, 16), (33, 4, 8, 3), (100, 2, 3, 16)])
@pytest.mark.parametrize("few", [False, True])
def test_it_is_the_recurrence_forward_and_backward(
    shape: tuple[int, int, int, int], few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if few:  # sequences go in several blocks, the last of them smaller
        monkeypatch.setattr(module, "NUMBERS_ON_CPU", 2 * shape[2] * shape[3])
        monkeypatch.setattr(module, "NUMBERS_KEPT_ON_CPU", 2 * shape[2] * shape[3] * 2 * shape[0])
    given = arguments(*shape)
    expected, found = step_by_step(*given), selective_scan(*given)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    for name, one, other in zip("xΔABC", gradients(found, given), gradients(expected, given), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11, msg=lambda m, name=name: f"{name}: {m}")


def test_single_precision_agrees_with_double() -> None:
    given, single = arguments(64, 8, 32), arguments(64, 8, 32, dtype=torch.float32)
    expected, found = selective_scan(*given), selective_scan(*single)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() / expected.abs().max() < 1e-6
    for one, other in zip(gradients(found, single), gradients(expected, given), strict=True):
        assert (one - other).abs().max() / other.abs().max() < 1e-5


def test_half_precision_is_scanned_in_single() -> None:
    half = arguments(64, 4, 16, dtype=torch.bfloat16)
    exact = [tensor.detach().double() for tensor in half]
    found = selective_scan(*half)
    assert found.dtype == torch.bfloat16
    # Only the result is rounded.
    torch.testing.assert_close(found.double(), selective_scan(*exact), rtol=2**-8, atol=1e-4)


def test_long_sequences_with_strong_decay_do_not_overflow() -> None:
    given = arguments(256, 2, 8, dtype=torch.float32)
    given[1] = (given[1] * 30).detach().requires_grad_()
    found = selective_scan(*given)
    assert found.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients(found, given))


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.numbers = max(self.numbers, made.untyped_storage().nbytes() // made.element_size())
        return made


def test_no_state_of_all_frames_is_ever_made(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, sequences, width, state = 32, 128, 16, 16
    monkeypatch.setattr(module, "NUMBERS_KEPT_ON_CPU", 1 << 16)
    given = arguments(frames, sequences, width, state, dtype=torch.float32)
    with Largest() as largest:
        gradients(selective_scan(*given), given)
    assert largest.numbers <= max(math.prod((frames, sequences, width)), 1 << 16)
    with Largest() as naive:
        gradients(step_by_step(*given), given)
    assert naive.numbers >= sequences * width * state  # what the measure is to see


def test_the_installed_kernels_get_what_they_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sequences first, frames last; A as it is."""

    def selective_scan_fn(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        frames_first = (tensor.permute(2, 0, 1) for tensor in (u, delta))
        b, c = (tensor.permute(2, 0, 1) for tensor in (B, C))
        return step_by_step(*frames_first, A, b, c).permute(1, 2, 0)

    interface = ModuleType("mamba_ssm.ops.selective_scan_interface")
    interface.selective_scan_fn = selective_scan_fn  # type: ignore[attr-defined]
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    module._kernel.cache_clear()
    kernel = module._kernel()
    module._kernel.cache_clear()
    assert kernel is selective_scan_fn
    given = arguments(6, 3, 5, 4, dtype=torch.float32)
    torch.testing.assert_close(module._by_kernel(kernel, *given), selective_scan(*given), rtol=1e-4, atol=1e-5)
