from __future__ import annotations

import pytest
import torch
from line_task import LineTask, recipe, run
from torch import nn

from models.training.muon import RMS_OF_ADAMW, Muon, orthogonal, suits_muon
from models.training.parallel import World
from models.training.recipe import OptimizerConfig
from models.training.trainer import Trainer


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (24, 24)])
def test_orthogonalisation_keeps_singular_vectors_and_equalises_singular_values(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(3, *shape), full_matrices=False)
    matrices = left @ torch.diag(torch.logspace(1, -0.5, min(shape))) @ right
    diagonal = left.mT @ orthogonal(matrices).to(matrices.dtype) @ right.mT
    values = diagonal.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert (diagonal - torch.diag_embed(values)).abs().max() < 0.1


def test_zero_matrices_stay_zero() -> None:
    assert torch.equal(orthogonal(torch.zeros(1, 8, 9)), torch.zeros(1, 8, 9))


@pytest.mark.parametrize("kernel", [nn.Linear(16, 64, bias=False), nn.Conv2d(8, 16, 3, bias=False)])
def test_an_update_has_the_rms_of_adamw(kernel: nn.Linear | nn.Conv2d) -> None:
    kernel.to(memory_format=torch.channels_last)
    weight = kernel.weight
    before = weight.detach().clone()
    weight.grad = torch.randn_like(weight)
    Muon([{"params": [weight]}], lr=0.01, weight_decay=0.0).step()
    rms = float((weight.detach() - before).square().mean().sqrt())
    assert rms == pytest.approx(0.01 * RMS_OF_ADAMW, rel=0.2)


def test_a_convolution_kernel_is_updated_like_the_equivalent_matrix() -> None:
    torch.manual_seed(0)
    convolution, matrix = nn.Conv2d(8, 16, 3, bias=False), nn.Linear(72, 16, bias=False)
    matrix.weight.data.copy_(convolution.weight.detach().flatten(1))
    convolution.weight.grad = torch.randn(16, 8, 3, 3)
    matrix.weight.grad = convolution.weight.grad.flatten(1)
    for weight in (convolution.weight, matrix.weight):
        Muon([{"params": [weight]}], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(convolution.weight.detach().flatten(1), matrix.weight.detach())


def test_weight_decay_is_scaled_by_the_learning_rate() -> None:
    weight = nn.Parameter(torch.ones(8, 8))
    weight.grad = torch.zeros(8, 8)
    Muon([{"params": [weight]}], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(weight.detach(), torch.full((8, 8), 0.95))


def test_muon_excludes_vectors_and_matrices_with_a_short_side() -> None:
    for shape in ((64,), (1, 32, 48), (64, 1, 4), (4, 64)):
        assert not suits_muon(nn.Parameter(torch.zeros(shape))), shape
    for shape in ((64, 8), (8, 3, 3, 3), (16, 8, 1, 1)):
        assert suits_muon(nn.Parameter(torch.zeros(shape))), shape


class WideTask(LineTask):
    """LineTask with one matrix for Muon; AdamW trains the other parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.network.body = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))


def test_a_resumed_run_has_the_losses_of_the_unbroken_run() -> None:
    settings = recipe(optimizer=OptimizerConfig(name="muon", learning_rate=1e-2, lr_multipliers={"body.0": 0.5}))
    expected = run(Trainer(WideTask(), settings, World()))
    first = Trainer(WideTask(), settings, World())
    losses = run(first, 5)
    state = first.state()
    assert set(state.optimizer["body.2.weight"]) == {"momentum"}
    assert set(state.optimizer["body.2.bias"]) == {"step", "exp_avg", "exp_avg_sq"}
    second = Trainer(WideTask(), settings, World())
    second.load(state)
    assert losses + run(second) == expected


def test_muon_fits_directions_of_low_input_variance_faster_than_adamw() -> None:
    """Input scales differ by a factor of 1000 between directions, none of which is an axis."""
    torch.manual_seed(0)
    scales = torch.logspace(0, -3, 16)
    truth = torch.linalg.qr(torch.randn(16, 16)).Q
    losses = {}
    for kind in ("muon", "adamw"):
        torch.manual_seed(1)
        layer = nn.Linear(16, 16, bias=False)
        rotated = torch.linalg.qr(torch.randn(16, 16)).Q
        optimizer: torch.optim.Optimizer = (
            Muon([{"params": [layer.weight]}], lr=0.02, weight_decay=0.0)
            if kind == "muon"
            else torch.optim.AdamW([layer.weight], lr=0.02, weight_decay=0.0)
        )
        for _ in range(200):
            x = (torch.randn(64, 16) * scales) @ rotated
            optimizer.zero_grad()
            (layer(x) - x @ truth).square().mean().backward()
            optimizer.step()
        losses[kind] = float((layer.weight.detach() - truth.T).square().mean())
    assert losses["muon"] < losses["adamw"]
