from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.common.unet.config import MambaConfig, TemporalConfig, UNetConfig
from models.common.unet.mamba import Mamba
from models.common.unet.temporal import TemporalMamba, temporal_layer
from models.common.unet.unet import UNet, is_temporal

WIDTH = 20


def new_mamba(*, bidirectional: bool = False) -> Mamba:
    torch.manual_seed(0)
    mamba = Mamba(WIDTH, MambaConfig(bidirectional=bidirectional)).double()
    torch.nn.init.normal_(mamba.out_proj.weight)
    return mamba


def written_out(mamba: Mamba, x_FMD: Tensor) -> Tensor:
    """The layer of one direction, from the paper's equations: frame by frame, with a convolution of PyTorch's."""
    scan, frames = mamba.forward_scan, len(x_FMD)
    x, gate = mamba.in_proj(x_FMD).chunk(2, -1)
    padding = scan.conv1d.kernel_size[0] - 1
    convolved = functional.conv1d(
        x.permute(1, 2, 0), scan.conv1d.weight, scan.conv1d.bias, padding=padding, groups=x.shape[-1]
    )
    x = functional.silu(convolved[..., :frames].permute(2, 0, 1))
    rank, size = scan.dt_proj.in_features, scan.A_log.shape[1]
    state = x.new_zeros(*x.shape[1:], size)
    made = []
    for frame in x:
        step, b, c = scan.x_proj(frame).split([rank, size, size], -1)
        delta = functional.softplus(scan.dt_proj(step))[..., None]
        state = torch.exp(delta * -scan.A_log.exp()) * state + delta * frame[..., None] * b[:, None]
        made.append((state * c[:, None]).sum(-1) + scan.D * frame)
    return mamba.out_proj(torch.stack(made) * functional.silu(gate))


def test_it_is_the_papers_layer_forward_and_backward() -> None:
    mamba = new_mamba()
    x = torch.randn(24, 5, WIDTH, dtype=torch.float64, requires_grad=True)
    found, expected = mamba(x), written_out(mamba, x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)
    weights = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).reshape(x.shape)
    names, parameters = zip(*mamba.named_parameters(), strict=True)
    one, other = (torch.autograd.grad((y * weights).sum(), (x, *parameters)) for y in (found, expected))
    for name, first, second in zip(("x", *names), one, other, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}")


@torch.no_grad()
def test_one_direction_knows_only_what_came_before_and_two_know_all() -> None:
    x = torch.randn(9, 2, WIDTH, dtype=torch.float64)
    changed = x.clone()
    changed[4] += 1
    for bidirectional in (False, True):
        mamba = new_mamba(bidirectional=bidirectional)
        moved = (mamba(changed) - mamba(x)).abs().amax((1, 2)) > 1e-9
        assert moved[4:].all()
        assert moved[:4].all() == bidirectional
        assert not moved[:4].any() or bidirectional


@torch.no_grad()
def test_the_second_direction_is_the_first_on_reversed_frames() -> None:
    mamba = new_mamba(bidirectional=True)
    assert mamba.backward_scan is not None
    x = torch.randn(9, 2, WIDTH, dtype=torch.float64)
    expected = mamba(x)
    mamba.forward_scan, mamba.backward_scan = mamba.backward_scan, mamba.forward_scan
    torch.testing.assert_close(mamba(x.flip(0)).flip(0), expected)


def test_steps_begin_between_a_thousandth_and_a_tenth() -> None:
    steps = functional.softplus(new_mamba().forward_scan.dt_proj.bias)
    assert steps.min() >= 1e-3 * 0.999
    assert steps.max() <= 1e-1 * 1.001
    assert steps.max() / steps.min() > 10


@pytest.mark.parametrize("norm", ["per_frame", "pooled"])
def test_a_temporal_layer_of_it_begins_as_the_identity_and_looks_along_the_frames_of_a_clip(norm: str) -> None:
    torch.manual_seed(0)
    config = TemporalConfig(norm=norm, mamba=MambaConfig())  # type: ignore[arg-type]
    layer = temporal_layer(8, config, norm_groups=4)
    assert isinstance(layer, TemporalMamba)
    x = torch.randn(2 * 5, 8, 3, 4)
    assert torch.equal(layer(x, 5), x)
    torch.nn.init.normal_(layer.mamba.out_proj.weight)
    made = layer(x, 5)
    torch.testing.assert_close(layer(x[5:], 5), made[5:], rtol=1e-4, atol=1e-5)  # clips are apart
    changed = x.clone()
    changed[2, :, 1, 1] = changed[2, :, 0, 0]
    moved = (layer(changed, 5) - made).abs().amax((1, 2, 3))
    assert moved[3:5].min() > 1e-4
    assert (moved[:2].max() == 0) == (norm == "per_frame")
    assert moved[5:].max() == 0


@pytest.mark.parametrize("layout", ["animatediff", "modelscope"])
def test_a_network_takes_it_by_configuration_for_any_number_of_frames(layout: str) -> None:
    unet = UNetConfig(
        widths=(8, 8), attention=(True, False), layers_per_block=1, num_heads=2, context_width=8, norm_groups=4
    )
    temporal = TemporalConfig(layout=layout, max_frames=4, mamba=MambaConfig(bidirectional=True))  # type: ignore[arg-type]
    torch.manual_seed(0)
    network = UNet(unet, temporal)
    names = {name for name, _ in network.named_parameters() if ".mamba." in name}
    assert names
    assert all(is_temporal(name) for name in names)
    x = torch.randn(11, 8, 4, 4, requires_grad=True)
    features = network.forward_features(x, torch.full((11,), 3), None, num_frames=11)
    assert features.shape == x.shape
    features.sum().backward()
    assert x.grad is not None
