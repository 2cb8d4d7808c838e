from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from line_task import LineTask, micro_batches, recipe, run

from models.training.guard import DivergedError
from models.training.parallel import World
from models.training.recipe import GuardConfig, OptimizerConfig
from models.training.trainer import Trainer


def test_a_resumed_run_has_the_losses_of_the_unbroken_run() -> None:
    unbroken = Trainer(LineTask(), recipe(), World())
    expected = run(unbroken)
    first = Trainer(LineTask(), recipe(), World())
    losses = run(first, 5)
    second = Trainer(LineTask(), recipe(), World())
    second.load(first.state())
    assert losses + run(second) == expected
    end, other = unbroken.state(), second.state()
    assert torch.equal(end.history, other.history)
    assert end.history.shape == (8, 3)
    for name, value in end.weights.items():
        assert torch.equal(value, other.weights[name]), name


def test_accumulated_micro_batches_equal_one_batch() -> None:
    losses = run(Trainer(LineTask(), recipe(), World()))
    assert run(Trainer(LineTask(), recipe(accumulation=4), World())) == pytest.approx(losses, rel=1e-5)


def test_the_state_holds_averaged_and_raw_weights() -> None:
    trainer = Trainer(LineTask(), recipe(ema_decay=0.9), World())
    run(trainer)
    state = trainer.state()
    raw = dict(trainer.task.network.named_parameters())
    assert torch.equal(state.raw_weights["body.0.weight"], raw["body.0.weight"])
    assert not torch.allclose(state.weights["body.0.weight"], raw["body.0.weight"])
    plain = Trainer(LineTask(), recipe(ema_decay=0.0), World())
    run(plain)
    assert plain.state().raw_weights == {}
    assert torch.equal(plain.state().weights["body.0.weight"], raw["body.0.weight"])


def test_ema_decay_warms_up() -> None:
    trainer = Trainer(LineTask(), recipe(ema_decay=0.999, steps=1), World())
    before = trainer.state().weights["body.0.weight"]
    run(trainer)
    after = trainer.state()
    # The first step has decay (1 + 0) / (10 + 0).
    expected = before + 0.9 * (after.raw_weights["body.0.weight"] - before)
    assert torch.allclose(after.weights["body.0.weight"], expected)


def test_frozen_parameters_do_not_change() -> None:
    task = LineTask()
    before = {name: p.clone() for name, p in task.network.named_parameters()}
    run(Trainer(task, recipe(frozen=("body.0",)), World()))
    moved = {name for name, p in task.network.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"body.2.weight", "body.2.bias", "condition.weight", "condition.bias"}


def test_learning_rates_are_multiplied_by_name_prefix() -> None:
    """Adam's first update equals the learning rate for any gradient."""
    settings = recipe(
        optimizer=OptimizerConfig(
            learning_rate=1e-2, warmup_steps=0, weight_decay=0.0, lr_multipliers={"body.": 0.1, "body.2": 0.1}
        ),
        ema_decay=0.0,
    )
    task = LineTask()
    before = {name: p.detach().clone() for name, p in task.network.named_parameters()}
    report = Trainer(task, settings, World()).train_step(micro_batches(1, settings, World()))
    assert report.learning_rate == 1e-2
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in task.network.named_parameters()}
    for name, expected in (("body.0.weight", 1e-3), ("body.2.weight", 1e-4), ("condition.weight", 1e-2)):
        assert moved[name] == pytest.approx(expected, rel=1e-2), name


def test_a_run_with_several_learning_rates_resumes_exactly() -> None:
    settings = recipe(optimizer=OptimizerConfig(learning_rate=1e-2, lr_multipliers={"body.2": 0.1}))
    expected = run(Trainer(LineTask(), settings, World()))
    first, second = (Trainer(LineTask(), settings, World()) for _ in range(2))
    losses = run(first, 5)
    second.load(first.state())
    assert losses + run(second) == expected


def test_gradients_are_clipped_to_the_maximum_norm() -> None:
    settings = recipe(optimizer=OptimizerConfig(learning_rate=1.0, warmup_steps=0, max_grad_norm=1e-4), ema_decay=0.0)
    task = LineTask()
    report = Trainer(task, settings, World()).train_step(micro_batches(1, settings, World()))
    assert report.grad_norm > 1e-4
    total = math.sqrt(sum(float(p.grad.square().sum()) for p in task.network.parameters() if p.grad is not None))
    assert total == pytest.approx(1e-4, rel=1e-2)


def test_a_non_finite_loss_stops_before_the_weights_change() -> None:
    trainer = Trainer(LineTask(), recipe(), World())
    run(trainer, 4)
    before = trainer.state()
    trainer.task.factor = float("nan")
    with pytest.raises(DivergedError, match="diverged at step 5: the loss is nan"):
        run(trainer)
    after = trainer.state()
    assert after.step == 4
    for name, value in before.raw_weights.items():
        assert torch.equal(value, after.raw_weights[name])


def test_an_exploding_loss_reports_step_and_ratio() -> None:
    settings = recipe(steps=40, guard=GuardConfig(window=3, max_ratio=10.0))
    trainer = Trainer(LineTask(), settings, World())
    run(trainer, 10)
    trainer.task.factor = 1000.0
    with pytest.raises(
        DivergedError, match=r"step 11: the mean loss of the last 3 steps is .* times that of the first 3"
    ):
        run(trainer)


def test_gradient_checkpointing_is_enabled_if_supported() -> None:
    task = LineTask()
    Trainer(task, recipe(gradient_checkpointing=True), World())
    assert task.network.gradient_checkpointing
    without = LineTask()
    del without.network.gradient_checkpointing
    with pytest.raises(ValueError, match="cannot checkpoint gradients"):
        Trainer(without, recipe(gradient_checkpointing=True), World())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": OptimizerConfig(lr_multipliers={"bodies": 2.0})}, "no trainable parameter begins with 'bodies'"),
        ({"frozen": ("bodies",)}, "no parameter begins with 'bodies'"),
        ({"frozen": ("body", "condition", "unused")}, "no trainable parameter is left"),
        ({"accumulation": 3}, "must be a multiple of workers x accumulation"),
    ],
)
def test_invalid_recipes_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Trainer(LineTask(), recipe(**changes), World())


def test_muon_is_refused_with_fsdp() -> None:
    settings = recipe(optimizer=OptimizerConfig(name="muon"))
    with pytest.raises(ValueError, match="needs unsharded matrices"):
        Trainer(LineTask(), settings, World(size=2, strategy="fsdp"))


def test_the_state_of_another_network_is_refused() -> None:
    trainer = Trainer(LineTask(), recipe(), World())
    state = trainer.state()
    with pytest.raises(ValueError, match="is of another network"):
        trainer.load(replace(state, weights={**state.weights, "extra": torch.zeros(1)}))
    with pytest.raises(ValueError, match="got a tensor of"):
        trainer.load(replace(state, weights={**state.weights, "body.0.weight": torch.zeros(1)}))
