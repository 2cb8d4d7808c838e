from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jobs.training.account import NetworkAccount, NetworksAccount
from jobs.training.puppet_networks import puppet_network_recipe, train_network
from models.training.loss_terms import LossTermsTask
from models.training.recipe import OptimizationRecipe

RECIPE = replace(
    puppet_network_recipe(steps=30, batch_size=4, learning_rate=0.05, warmup_steps=3), accumulation=2, ema_decay=0.9
)


class KilledError(Exception):
    """Stands for a killed process."""


def run(state: Path, *, stop_at: int | None = None, recipe: OptimizationRecipe = RECIPE) -> nn.Module:
    """Train a small network with batch normalisation; `stop_at`: number of the micro-batch that raises KilledError."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    num_batches = 0

    def draw_batch(rng: np.random.Generator, batch_size: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal((batch_size, 2), np.float32))

    def losses(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
        nonlocal num_batches
        num_batches += 1
        if num_batches == stop_at:
            raise KilledError
        return {"error": (network(x)[:, 0] - x.sum(1)).square().mean()}

    task = LossTermsTask(network, losses)
    account = NetworkAccount(name="sum", steps=recipe.steps, state_path=state)
    train_network(task, recipe, draw_batch=draw_batch, account=account, save_every_seconds=0.0)
    return network


def error(network: nn.Module) -> float:
    x = torch.from_numpy(np.random.default_rng(9).standard_normal((200, 2), np.float32))
    return float((network.eval()(x)[:, 0] - x.sum(1)).square().mean().detach())


def test_training_reduces_the_error(tmp_path: Path) -> None:
    start = error(run(tmp_path / "start.pt", recipe=puppet_network_recipe(steps=1)))
    assert error(run(tmp_path / "state.pt", recipe=puppet_network_recipe(steps=400, learning_rate=0.02))) < start / 10


@pytest.mark.parametrize("stop_at", [1, 2, 17, 60])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, stop_at: int) -> None:
    unbroken = run(tmp_path / "unbroken.pt")
    with pytest.raises(KilledError):
        run(tmp_path / "killed.pt", stop_at=stop_at)
    resumed = run(tmp_path / "killed.pt")
    for key, value in unbroken.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def python_handles_sigint() -> Iterator[None]:
    """Python's own handler, which is not installed where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_handles_sigint")
def test_an_interrupted_command_says_how_far_every_network_came(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    task = LossTermsTask(nn.Linear(1, 1), lambda network, x: {"error": network(x).square().mean()})

    def train(account: NetworksAccount, name: str, *, interrupt_at: int | None, save_every_seconds: float) -> None:
        num_batches = 0

        def draw_batch(rng: np.random.Generator, batch_size: int) -> Tensor:
            nonlocal num_batches
            num_batches += 1
            if num_batches == interrupt_at:
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.1)
            return torch.from_numpy(rng.standard_normal((batch_size, 1), np.float32))

        recipe = puppet_network_recipe(steps=30, batch_size=2)
        progress = account.begin(name, steps=30, state_path=tmp_path / f"{name}.pt")
        train_network(task, recipe, draw_batch=draw_batch, account=progress, save_every_seconds=save_every_seconds)

    def closing(**how: float) -> str:
        with contextlib.suppress(KeyboardInterrupt), NetworksAccount("toys", tmp_path / "published") as account:
            train(account, "first", interrupt_at=None, save_every_seconds=1e9)
            train(account, "second", interrupt_at=20, **how)
            pytest.fail("was not interrupted")
        return caplog.records[-1].getMessage()

    done = r"train toys: first 30 of 30 steps(, error \d\.\d+)?; second (\d+) of 30 steps, error \d\.\d+"
    assert re.fullmatch(
        rf"{done} \(no state saved yet\); the same command continues; \d+ s", closing(save_every_seconds=1e9)
    )
    found = re.fullmatch(
        rf"{done} \(state of step (\d+): {tmp_path}/second\.pt\); the same command continues; \d+ s",
        closing(save_every_seconds=0.0),
    )
    assert found is not None
    assert 15 <= int(found[3]) <= int(found[2]) < 30


def test_the_network_ends_with_averaged_weights_and_statistics(tmp_path: Path) -> None:
    network = run(tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    for key in ("0.weight", "1.running_mean", "1.running_var"):
        assert torch.equal(network.state_dict()[key], state["weights"][key]), key
        assert not torch.equal(network.state_dict()[key], state["raw_weights"][key]), key
    assert not network.training


def test_the_learning_rate_warms_up_and_decays_to_2_percent() -> None:
    rates = [RECIPE.optimizer.lr_at(step, RECIPE.steps) for step in range(RECIPE.steps + 1)]
    assert rates[:3] == sorted(rates[:3])
    assert max(rates) == rates[2] == pytest.approx(0.05)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[-1] == pytest.approx(0.02 * 0.05)
