from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_animate_x import TINY
from tiny_systems import CPU, NUM_FRAMES, SIDE_PX, new_encoders, new_recipe, new_task, puppet, sample_batch, tiny_model

from models.animate_x.config import AnimateXConfig
from models.animate_x.implementation import AnimateXImplementation
from models.animate_x.network import AnimateX, ClipConditions
from models.animation.animator import RequestEncoder
from models.animation.clip import ClipBatch
from models.animation.signals import DRIVING_FRAMES, DRIVING_KEYPOINTS, REFERENCE_KEYPOINTS
from models.animation.task import sample_clip
from models.training.batch import SampleBatch
from models.training.parallel import World
from models.training.recipe import LossConfig, OptimizerConfig
from models.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")

MODEL = tiny_model("animate-x")
BOTH = replace(TINY, reference="both")


def with_config(config: AnimateXConfig) -> Any:
    return replace(MODEL, variant=replace(MODEL.variant, config=config))


@torch.no_grad()
def conditions(clip: ClipBatch, config: AnimateXConfig = TINY) -> ClipConditions:
    encoder = RequestEncoder(clip, new_encoders(), device=CPU, dtype=torch.float32, batch=4)
    return AnimateXImplementation().conditions(clip, encoder, AnimateX(config))


def test_a_run_continued_from_its_state_has_the_losses_of_the_unbroken_one() -> None:
    model = with_config(BOTH)
    loss = LossConfig(condition_dropout=0.3, keep_share=0.1, part_dropout=0.5)
    recipe = new_recipe(model, ema_decay=0.9, loss=loss)

    def run(trainer: Trainer[SampleBatch], last_step: int) -> list[float]:
        return [
            trainer.train_step([sample_batch(NUM_FRAMES, (2 * step, 2 * step + 1))]).loss
            for step in range(trainer.step, last_step)
        ]

    first: Trainer[SampleBatch] = Trainer(new_task(model, recipe), recipe, World())
    run(first, 2)
    second: Trainer[SampleBatch] = Trainer(new_task(model, recipe), recipe, World())
    second.load(first.state())
    assert run(second, 4) == run(first, 4)


@pytest.mark.parametrize(
    ("config", "idle"),
    [
        (replace(TINY, reference="first_frame"), ("picture.",)),
        (replace(BOTH, unet=replace(TINY.unet, pose_attention=None), indicator=None), ()),
    ],
    ids=["first_frame", "both_without_indicator"],
)
def test_all_parameters_that_a_configuration_uses_are_trained(config: AnimateXConfig, idle: tuple[str, ...]) -> None:
    model = with_config(config)
    recipe = new_recipe(model, loss=LossConfig(condition_dropout=0.0))
    task = new_task(model, recipe, network=AnimateX(config))
    trainer: Trainer[SampleBatch] = Trainer(task, recipe, World())
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    for step in range(4):  # zero-initialised layers pass no gradient in the first step
        trainer.train_step([sample_batch(NUM_FRAMES, (2 * step, 2 * step + 1))])
    after = task.network.state_dict()
    still = {name for name, value in before.items() if torch.equal(after[name], value)}
    assert {name for name in still if not name.startswith(idle)} == set()
    assert all(any(name.startswith(prefix) for name in still) for prefix in idle)


def test_the_pose_indicator_learns_at_a_rate_of_its_own() -> None:
    optimizer = OptimizerConfig(
        learning_rate=1e-3, warmup_steps=0, weight_decay=0.0, lr_multipliers={"indicator.": 0.01}
    )
    recipe = new_recipe(MODEL, optimizer=optimizer)
    task = new_task(MODEL, recipe)
    before = {name: p.detach().clone() for name, p in task.network.named_parameters()}
    trainer: Trainer[SampleBatch] = Trainer(task, recipe, World())
    for samples in ((0, 1), (2, 3)):
        trainer.train_step([sample_batch(NUM_FRAMES, samples)])
    changes = {name: float((p.detach() - before[name]).abs().max()) for name, p in task.network.named_parameters()}
    # Adam changes a number by the rate in its first step, and hardly more in the second.
    assert max(value for name, value in changes.items() if name.startswith("indicator.")) < 3e-5
    assert changes["denoiser.conv_in.weight"] > 9e-4


def test_the_indicator_reads_the_driving_motion_whatever_skeletons_are_drawn() -> None:
    batch = sample_batch(NUM_FRAMES)
    augmented = replace(
        batch, poses_BFHWC=255 - batch.poses_BFHWC, pose_keypoints_BFK3=batch.pose_keypoints_BFK3[..., [1, 0, 2]]
    )
    first, second = (task_conditions(each) for each in (batch, augmented))
    changed = {
        field.name
        for field in fields(first)
        if isinstance(value := getattr(first, field.name), torch.Tensor | np.ndarray)
        and not (value == getattr(second, field.name)).all()
    }
    assert changed == {"poses_BFHWC"}
    keypoints = first.keypoints_BGK
    assert keypoints is not None
    assert keypoints.shape == (2, NUM_FRAMES + 1, 36)
    nose_x = puppet()[1][0, 0, 0]
    assert float(keypoints[0, 0, 0]) == pytest.approx(nose_x / SIDE_PX)


def task_conditions(batch: SampleBatch) -> ClipConditions:
    """The conditions that a training task computes."""
    task = new_task(MODEL, new_recipe(MODEL))
    calls: list[ClipConditions] = []
    predict = task._implementation.predict
    task._implementation.predict = lambda network, noisy, conditions, stage: (  # type: ignore[method-assign]
        calls.append(conditions) or predict(network, noisy, conditions, stage)
    )
    task.row_losses(task.network, batch)
    return calls[0]


def test_missing_reference_keypoints_are_named() -> None:
    clip = sample_clip(sample_batch(NUM_FRAMES, (0,)))
    signals = {name: value for name, value in clip.signals.items() if name != REFERENCE_KEYPOINTS}
    with pytest.raises(ValueError, match=REFERENCE_KEYPOINTS):
        conditions(replace(clip, signals=signals))


def test_keypoints_are_shares_of_the_driving_frames_size() -> None:
    clip = sample_clip(sample_batch(NUM_FRAMES, (0,)))
    expected = conditions(clip).keypoints_BGK
    larger = {
        DRIVING_FRAMES: clip.signals[DRIVING_FRAMES].repeat(2, 2).repeat(3, 3),
        DRIVING_KEYPOINTS: clip.signals[DRIVING_KEYPOINTS] * np.array([3, 2, 1], np.float32),
    }
    keypoints = conditions(replace(clip, signals={**clip.signals, **larger})).keypoints_BGK
    assert keypoints is not None
    torch.testing.assert_close(keypoints, expected)


def test_without_a_pose_indicator_driving_frames_are_not_encoded() -> None:
    model = tiny_model("unianimate")
    task = new_task(model, new_recipe(model))
    counts: list[int] = []
    embed = task._embeds._encode
    task._embeds._encode = lambda images: counts.append(len(images)) or embed(images)  # type: ignore[func-returns-value]  # None, so that `or` goes on
    assert task.row_losses(task.network, sample_batch(NUM_FRAMES)).shape == (2,)
    assert counts == [2]


def test_more_frames_than_positions_are_refused() -> None:
    model = with_config(replace(TINY, temporal=replace(TINY.temporal, positions=True, max_frames=NUM_FRAMES)))
    with pytest.raises(ValueError, match="num_frames is 3, and the reference one more; the temporal layers have pos"):
        new_task(model, new_recipe(model))
