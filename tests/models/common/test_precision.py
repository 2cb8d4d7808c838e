from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from line_task import LineBatch, LineTask, recipe

from models.common import precision
from models.training.muon import orthogonal
from models.training.parallel import World
from models.training.trainer import Trainer


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    precision._cpu_has_bfloat16.cache_clear()
    yield
    precision._cpu_has_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("abilities", "fast"),
    [({}, False), ({"avx2": True, "avx512_bf16": False}, False), ({"amx_bf16": True}, True), ({"bf16": True}, True)],
)
def test_a_cpu_is_asked_what_it_can_do(abilities: dict[str, bool], fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert precision.fast_bfloat16(torch.device("cpu")) == fast
    assert precision.fast_bfloat16(torch.device("cuda"))


def test_this_torch_names_abilities() -> None:
    assert torch.cpu.get_capabilities()


@pytest.mark.parametrize("fast", [False, True])
def test_training_computes_in_what_is_fast(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast})
    matrices = torch.randn(1, 8, 9, generator=torch.Generator().manual_seed(0))
    made = orthogonal(matrices)
    assert torch.equal(made, made.bfloat16().float()) == fast
    losses = {}
    for name in ("auto", "float32", "bfloat16"):
        trainer: Trainer[LineBatch] = Trainer(LineTask(), recipe(precision=name), World())
        batch = LineBatch(torch.linspace(-1, 1, 24).view(8, 3), torch.arange(8) % 2 == 0)
        losses[name] = trainer.train_step([batch]).loss
    assert losses["float32"] != losses["bfloat16"]
    assert losses["auto"] == losses["bfloat16" if fast else "float32"]
