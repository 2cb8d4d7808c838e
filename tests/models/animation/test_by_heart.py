"""Small networks learn one clip by heart: the loss, its targets and the optimizer fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_systems import CONFIGS, CPU, X, tiny_model

from models.animation.system import Model
from models.animation.task import DiffusionTask
from models.appearance.encoders import FrozenEncoders
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae, standardise, to_images
from models.training.batch import SampleBatch
from models.training.parallel import World
from models.training.recipe import LossConfig, OptimizerConfig, SamplingConfig, TrainingRecipe
from models.training.trainer import Trainer

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.nightly]


def batch(num_frames: int, samples: tuple[int, ...] = (0,)) -> SampleBatch:
    """Samples of one clip: moving squares, which are also their own skeletons and carry all keypoints."""
    rows = len(samples)
    frames = np.full((num_frames + 1, 64, 64, 3), 60, np.uint8)
    keypoints = np.ones((num_frames + 1, 133, 3), np.float32)
    for index, frame in enumerate(frames):
        frame[20:40, 4 + 8 * index : 24 + 8 * index] = (250, 120, 30)
        keypoints[index, :, :2] = np.random.default_rng(0).uniform((4 + 8 * index, 20), (24 + 8 * index, 40), (133, 2))
    skeletons = np.where(frames > 100, frames, 0).astype(np.uint8)
    return SampleBatch(
        samples_B=np.array(samples),
        clips_B=np.zeros(rows, np.int64),
        targets_BFHWC=frames[None, 1:].repeat(rows, 0),
        poses_BFHWC=skeletons[None, 1:].repeat(rows, 0),
        references_BHWC=frames[:1].repeat(rows, 0),
        reference_poses_BHWC=skeletons[:1].repeat(rows, 0),
        keypoints_BGK3=keypoints[None].repeat(rows, 0),
        pose_keypoints_BFK3=keypoints[None, 1:].repeat(rows, 0),
        target_frames_BF=np.arange(1, num_frames + 1)[None].repeat(rows, 0),
        reference_frames_B=np.zeros(rows, np.int64),
        mirrored_B=np.zeros(rows, bool),
    )


def new_task(model: Model, recipe: TrainingRecipe) -> DiffusionTask:
    torch.manual_seed(0)
    vae = Vae(PUPPETS_VAE)
    with torch.no_grad():
        latents = vae.encode(to_images(batch(4).targets_BFHWC[0]))
    standardise(vae, latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    implementation = model.system.implementation()
    return DiffusionTask(
        implementation,
        implementation.new_network(model.variant.config),
        recipe,
        encoders=FrozenEncoders(vae=vae, image_encoder=new_puppets_image_encoder()),
        stages=model.system.stages,
        device=CPU,
        keep_bytes=1 << 20,
    )


def learn(trainer: Trainer[SampleBatch], make_batch: Callable[[int], SampleBatch]) -> tuple[float, float]:
    """Mean losses of the first and the last twentieth of a run."""
    losses = [trainer.train_step([make_batch(step)]).loss for step in range(trainer.recipe.steps)]
    part = trainer.recipe.steps // 20
    return float(np.mean(losses[:part])), float(np.mean(losses[-part:]))


def without_keypoints(batch: SampleBatch) -> SampleBatch:
    """The draft of such samples repeats the reference: it does not show the motion."""
    zeros = {name: np.zeros_like(getattr(batch, name)) for name in ("keypoints_BGK3", "pose_keypoints_BFK3")}
    return replace(batch, **zeros)


def single_frames(first_sample: int) -> SampleBatch:
    """Each of a clip's four frames as a row of its own."""
    clip = batch(4)
    rows = batch(1, tuple(range(first_sample, first_sample + 4)))
    return without_keypoints(
        replace(
            rows,
            targets_BFHWC=clip.targets_BFHWC[0][:, None],
            poses_BFHWC=clip.poses_BFHWC[0][:, None],
            target_frames_BF=clip.target_frames_BF[0][:, None],
        )
    )


@pytest.mark.parametrize("name", ["animate-anyone", "animate-anyone-puppets"])
def test_animate_anyone_learns_one_clip_in_both_stages(name: str) -> None:
    """Stage 2 continues from stage 1's weights, without skeletons: only temporal layers can tell frames apart."""
    model = tiny_model(name)
    recipe = TrainingRecipe(
        batch_size=4,
        steps=400,
        loss=LossConfig(condition_dropout=0.0, noise_offset=0.0, snr_gamma=None),
        optimizer=OptimizerConfig(learning_rate=8e-3, warmup_steps=20, decay="cosine"),
        sampling=SamplingConfig(height_px=64, width_px=64),
    )
    first = new_task(model, recipe)
    start, end = learn(Trainer(first, recipe, World()), lambda step: single_frames(4 * step))
    assert end < 0.3 * start

    recipe = replace(recipe, stage=2, batch_size=1, sampling=replace(recipe.sampling, num_frames=4))
    second = new_task(model, recipe)
    second.network.load_state_dict(first.network.state_dict())
    clip = without_keypoints(batch(4))
    clip = replace(clip, poses_BFHWC=np.zeros_like(clip.poses_BFHWC))
    start, end = learn(Trainer(second, recipe, World()), lambda step: replace(clip, samples_B=np.array([step])))
    assert end < 0.45 * start


@pytest.mark.parametrize("config", [replace(X, reference="both"), CONFIGS["animate-x-puppets"]], ids=["attn", "mamba"])
def test_animate_x_learns_one_clip(config: Any) -> None:
    model = tiny_model("animate-x-puppets")
    model = replace(model, variant=replace(model.variant, config=config))
    recipe = TrainingRecipe(
        batch_size=1,
        steps=300,
        # Where there is little noise, what is left of it shows only beside exact pixels, which 16 channels do not hold.
        loss=LossConfig(condition_dropout=0.0, noise_offset=0.0, snr_gamma=1.0),
        optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=20, decay="cosine"),
        sampling=SamplingConfig(height_px=64, width_px=64, num_frames=3),
    )
    start, end = learn(Trainer(new_task(model, recipe), recipe, World()), lambda step: batch(3, (step,)))
    assert end < 0.3 * start
