from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.perception.training import LoopConfig, train

CONFIG = LoopConfig(steps=30, batch_size=4, learning_rate=0.05, warmup_steps=3, average=0.9, save_every_seconds=0.0)


class KilledError(Exception):
    """Stands for the machine going away."""


def run(state: Path, *, stop_at: int | None = None, config: LoopConfig = CONFIG) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    taken = 0

    def batch(rng: np.random.Generator) -> Tensor:
        return torch.from_numpy(rng.standard_normal((config.batch_size, 2), np.float32))

    def losses(x: Tensor) -> dict[str, Tensor]:
        nonlocal taken
        taken += 1
        if taken == stop_at:
            raise KilledError
        return {"error": (network(x)[:, 0] - x.sum(1)).square().mean()}

    train(network, batch=batch, losses=losses, config=config, state_path=state)
    return network


def error(network: nn.Module) -> float:
    x = torch.from_numpy(np.random.default_rng(9).standard_normal((200, 2), np.float32))
    return float((network.eval()(x)[:, 0] - x.sum(1)).square().mean().detach())


def test_training_learns(tmp_path: Path) -> None:
    none = error(run(tmp_path / "none.pt", config=LoopConfig(steps=1)))
    assert error(run(tmp_path / "state.pt", config=LoopConfig(steps=400, learning_rate=0.02))) < none / 10


@pytest.mark.parametrize("stop_at", [1, 2, 17, 30])
def test_killed_training_ends_like_an_unbroken_one(tmp_path: Path, stop_at: int) -> None:
    whole = run(tmp_path / "whole.pt")
    with pytest.raises(KilledError):
        run(tmp_path / "broken.pt", stop_at=stop_at)
    again = run(tmp_path / "broken.pt")
    for key, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    assert not list(tmp_path.glob(".*"))


def test_learning_rate_rises_then_falls() -> None:
    rates = [CONFIG.rate(step) for step in range(CONFIG.steps)]
    assert rates[:3] == sorted(rates[:3])
    assert max(rates) == rates[2] == pytest.approx(CONFIG.learning_rate)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 0 < rates[-1] < CONFIG.learning_rate / 20
