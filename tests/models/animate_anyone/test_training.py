from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from models.animate_anyone.training import AnimateAnyoneTask
from tiny_animate_anyone import TINY
from torch import Tensor, nn

from models.animate_anyone.network import AnimateAnyone
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae, standardise, to_images
from models.training.batch import SampleBatch
from models.training.parallel import World
from models.training.recipe import LossConfig, OptimizerConfig, SamplingConfig, TrainingRecipe
from models.training.trainer import Trainer

CPU = torch.device("cpu")


def recipe(stage: int, **changes: Any) -> TrainingRecipe:
    sampling = SamplingConfig(height_px=64, width_px=64, num_frames=1 if stage == 1 else 4)
    settings: dict[str, Any] = {"stage": stage, "steps": 500, "batch_size": 2, "sampling": sampling}
    return TrainingRecipe(**{**settings, **changes})


def task(settings: TrainingRecipe, **options: Any) -> AnimateAnyoneTask:
    torch.manual_seed(0)
    vae = Vae(PUPPETS_VAE)
    with torch.no_grad():
        latents = vae.encode(to_images(batch(4).targets_BFHWC[0]))
    standardise(vae, latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    return AnimateAnyoneTask(
        AnimateAnyone(TINY),
        settings,
        vae=vae,
        image_encoder=new_puppets_image_encoder(),
        device=CPU,
        **options,
    )


def batch(num_frames: int, samples: tuple[int, ...] = (0, 1)) -> SampleBatch:
    """Samples of one clip: moving squares, which are also their own skeletons."""
    rows = len(samples)
    frames = np.full((num_frames + 1, 64, 64, 3), 60, np.uint8)
    for index, frame in enumerate(frames):
        frame[20:40, 4 + 8 * index : 24 + 8 * index] = (250, 120, 30)
    targets = frames[None, 1:].repeat(rows, 0)
    return SampleBatch(
        samples_B=np.array(samples),
        clips_B=np.zeros(rows, np.int64),
        targets_BFHWC=targets,
        poses_BFHWC=np.where(targets > 100, targets, 0).astype(np.uint8),
        references_BHWC=frames[:1].repeat(rows, 0),
        reference_poses_BHWC=np.where(frames[:1] > 100, frames[:1], 0).astype(np.uint8).repeat(rows, 0),
        keypoints_BGK3=np.zeros((rows, num_frames + 1, 133, 3), np.float32),
        pose_keypoints_BFK3=np.zeros((rows, num_frames, 133, 3), np.float32),
        target_frames_BF=np.arange(1, num_frames + 1)[None].repeat(rows, 0),
        reference_frames_B=np.zeros(rows, np.int64),
        mirrored_B=np.zeros(rows, bool),
    )


@pytest.mark.nightly
def test_one_clip_is_learnt_by_heart_in_both_stages() -> None:
    """Stage 2 goes on from stage 1's weights. It is shown no skeletons, so that only temporal layers can know which
    frame is which.
    """
    plain = LossConfig(condition_dropout=0.0, noise_offset=0.0, snr_gamma=None)
    optimizer = OptimizerConfig(learning_rate=8e-3, warmup_steps=20, decay="cosine")
    settings = recipe(1, loss=plain, optimizer=optimizer, batch_size=4, steps=400)
    first = task(settings, keep_bytes=1 << 20)
    trainer: Trainer[SampleBatch] = Trainer(first, settings, World())
    start, end = learn(trainer, lambda step: single_frames(4 * step))
    assert end < 0.3 * start
    settings = replace(settings, stage=2, sampling=replace(settings.sampling, num_frames=4), batch_size=1)
    second = task(settings, keep_bytes=1 << 20)
    second.network.load_state_dict(first.network.state_dict())
    hidden = batch(4, (0,))
    hidden = replace(hidden, poses_BFHWC=np.zeros_like(hidden.poses_BFHWC))
    trainer = Trainer(second, settings, World())
    start, end = learn(trainer, lambda step: replace(hidden, samples_B=np.array([step])))
    assert end < 0.45 * start


def learn(trainer: Trainer[SampleBatch], made: Callable[[int], SampleBatch]) -> tuple[float, float]:
    """Mean losses of the first and the last twentieth of a run."""
    losses = [trainer.train_step([made(step)]).loss for step in range(trainer.recipe.steps)]
    part = trainer.recipe.steps // 20
    return float(np.mean(losses[:part])), float(np.mean(losses[-part:]))


def single_frames(first_sample: int) -> SampleBatch:
    """Each of a clip's four frames as a row of its own."""
    clip = batch(4, (0,))
    rows = batch(1, tuple(range(first_sample, first_sample + 4)))
    return replace(
        rows,
        targets_BFHWC=clip.targets_BFHWC[0][:, None],
        poses_BFHWC=clip.poses_BFHWC[0][:, None],
        target_frames_BF=clip.target_frames_BF[0][:, None],
    )


@pytest.mark.parametrize("stage", [1, 2])
def test_each_stage_trains_its_part(stage: int) -> None:
    trained = task(recipe(stage))
    before = {name: value.clone() for name, value in trained.network.state_dict().items()}
    trainer: Trainer[SampleBatch] = Trainer(trained, recipe(stage), World())
    for step in range(3):
        trainer.train_step([batch(1 if stage == 1 else 4, (2 * step, 2 * step + 1))])
    after = trained.network.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    temporal = {name for name in before if ".motion_modules." in name}
    assert moved <= temporal if stage == 2 else not moved & temporal
    roots = {name.split(".")[0] for name in moved}
    assert roots == ({"denoiser"} if stage == 2 else {"denoiser", "reference_net", "pose_guider", "limb_warp"})


class _Spy(nn.Module):
    """Keeps what the network is given and gives."""

    def __init__(self, network: AnimateAnyone) -> None:
        super().__init__()
        self.network = network
        self.inputs: tuple[Tensor, ...] = ()
        self.drawn: dict[str, Tensor] = {}

    def forward(self, *inputs: Tensor, **drawn: Tensor) -> Tensor:
        self.inputs, self.drawn = inputs, drawn
        prediction: Tensor = self.network(*inputs, **drawn)
        return prediction


def test_dropped_rows_are_those_of_guidance_at_inference() -> None:
    """Exactly the rows without conditions are what the denoiser makes without reference and image token."""
    settings = recipe(1, loss=LossConfig(condition_dropout=0.5))
    trained = task(settings)
    spy = _Spy(trained.network)
    trained.row_losses(spy, batch(1, tuple(range(12))))
    latents, t, tokens, pose, reference, conditional = spy.inputs
    assert 0 < int(conditional.sum()) < 12
    network = trained.network
    with torch.no_grad():
        torch.nn.init.normal_(network.limb_warp.weight)  # begins at zero
        predicted = network(*spy.inputs, **spy.drawn)
        features = network.pose_features(pose)
        plain = network.denoiser(latents, t, None, features)
        conditions = network.conditions(tokens, reference, spy.drawn["reference_pose_B3HW"])
        seen = network.denoiser(latents, t, conditions, features + network.limb_warp(spy.drawn["warped_BCFHW"]))
    expected = torch.where(conditional[:, None, None, None, None], seen, plain)
    assert torch.allclose(predicted, expected, atol=1e-5)
    assert not torch.allclose(seen, plain, atol=1e-3)


def test_the_reference_net_takes_part_where_no_row_sees_it() -> None:
    settings = recipe(1, loss=LossConfig(condition_dropout=0.99))
    trained = task(settings)
    losses = trained.row_losses(trained.network, batch(1))
    assert losses.shape == (2,)
    losses.sum().backward()
    gradients = {name: p.grad for name, p in trained.network.reference_net.named_parameters() if p.grad is not None}
    assert not any(gradient.any() for gradient in gradients.values())
    every = task(recipe(1, loss=LossConfig(condition_dropout=0.0)))
    every.row_losses(every.network, batch(1)).sum().backward()
    assert gradients.keys() == {
        name for name, p in every.network.reference_net.named_parameters() if p.grad is not None
    }
    # The row that was added for it counts for nothing.
    alone = trained.row_losses(trained.network, batch(1, (0,)))
    assert torch.allclose(alone[0], losses[0], atol=1e-5)


def test_kept_encodings_change_nothing() -> None:
    kept, fresh = task(recipe(2), keep_bytes=1 << 20), task(recipe(2))
    for _ in range(2):
        assert torch.allclose(
            kept.row_losses(kept.network, batch(4)), fresh.row_losses(fresh.network, batch(4)), atol=1e-5
        )


def test_gradient_checkpointing_computes_the_same() -> None:
    losses = []
    for checkpointing in (False, True):
        settings = recipe(1, gradient_checkpointing=checkpointing)
        trainer: Trainer[SampleBatch] = Trainer(task(settings), settings, World())
        losses.append([trainer.train_step([batch(1, (2 * i, 2 * i + 1))]).loss for i in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_bfloat16_keeps_weights_in_float32() -> None:
    settings = recipe(1, precision="bfloat16")
    trainer: Trainer[SampleBatch] = Trainer(task(settings), settings, World())
    report = trainer.train_step([batch(1)])
    exact: Trainer[SampleBatch] = Trainer(task(recipe(1)), recipe(1), World())
    expected = exact.train_step([batch(1)]).loss
    assert report.loss != expected
    assert report.loss == pytest.approx(expected, rel=0.05)
    assert {value.dtype for value in trainer.state().weights.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("stage", "num_frames", "words"),
    [
        (3, 4, "stages 1 and 2, got stage 3"),
        (2, 1, "learns from clips, got sampling.num_frames 1"),
        (2, 17, "have positions for 16"),
    ],
)
def test_impossible_stages_are_refused(stage: int, num_frames: int, words: str) -> None:
    sampling = SamplingConfig(height_px=64, width_px=64, num_frames=num_frames)
    with pytest.raises(ValueError, match=words):
        task(recipe(stage, sampling=sampling))
