from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from stand_in_networks import fill_zeros
from tiny_animate_anyone import TINY
from torch import Tensor

from models.animation.clip import ClipBatch
from models.animation.signals import POSE_KEYPOINTS, REFERENCE_KEYPOINTS
from models.puppet_models.animate_anyone.network import (
    PuppetAnimateAnyone,
    PuppetClipConditions,
    PuppetReferenceConditions,
)
from models.puppet_models.animate_anyone.system import PUPPETS
from models.puppet_models.draft import Draft

pytestmark = pytest.mark.usefixtures("one_thread")

CHANNELS, SIDE = TINY.unet.in_channels, 8


@pytest.fixture(scope="module")
def network() -> PuppetAnimateAnyone:
    torch.manual_seed(0)
    network = PuppetAnimateAnyone(TINY).eval()
    fill_zeros(network)
    return network


def clips(rows: int, num_frames: int) -> PuppetClipConditions:
    generator = torch.Generator().manual_seed(1)
    rng = np.random.default_rng(1)
    poses = rng.integers(0, 256, (rows, num_frames, 8 * SIDE, 8 * SIDE, 3), dtype=np.uint8)
    signals = {
        REFERENCE_KEYPOINTS: np.zeros((rows, 133, 3), np.float32),
        POSE_KEYPOINTS: np.zeros((rows, num_frames, 133, 3), np.float32),
    }
    clip = ClipBatch(references_BHWC=poses[:, 0], poses_BFHWC=poses, signals=signals)
    return PuppetClipConditions(
        image_tokens_BLD=torch.randn((rows, 1, TINY.unet.context_width), generator=generator),
        reference_latents_BCHW=torch.randn((rows, CHANNELS, SIDE, SIDE), generator=generator),
        poses_BFHWC=poses,
        reference_pose_B3HW=torch.rand((rows, 3, 8 * SIDE, 8 * SIDE), generator=generator),
        draft_BCFHW=torch.randn((rows, CHANNELS, num_frames, SIDE, SIDE), generator=generator),
        draft=Draft(clip, keep_lengths=False, batch=4),
    )


def predict(network: PuppetAnimateAnyone, clips: PuppetClipConditions, conditional: tuple[bool, ...]) -> Tensor:
    rows, num_frames = clips.poses_BFHWC.shape[:2]
    noise = torch.randn((rows, CHANNELS, num_frames, SIDE, SIDE), generator=torch.Generator().manual_seed(2))
    predicted: Tensor = network(noise, torch.arange(rows) * 100 + 7, clips, torch.tensor(conditional))
    return predicted


@torch.no_grad()
def test_conditional_rows_read_all_conditions_and_unconditional_ones_the_pose_alone(
    network: PuppetAnimateAnyone,
) -> None:
    batch = clips(2, 2)
    before = predict(network, batch, (False, True))
    for field in fields(batch):
        value = getattr(batch, field.name)
        if not isinstance(value, Tensor):
            continue
        change = (predict(network, replace(batch, **{field.name: value + 1}), (False, True)) - before).abs()
        assert change[0].max() < 1e-6, field.name
        assert change[1].max() > 1e-3, field.name
    other = predict(network, replace(batch, poses_BFHWC=255 - batch.poses_BFHWC), (False, True))
    assert ((other - before).abs().flatten(1).amax(1) > 1e-3).all()


@torch.no_grad()
def test_the_draft_is_read_frame_by_frame() -> None:
    torch.manual_seed(0)
    network = PuppetAnimateAnyone(TINY).eval()
    fill_zeros(network)
    network.denoiser.temporal = False
    batch = clips(1, 2)
    before = predict(network, batch, (True,))
    batch.draft_BCFHW[:, :, 1] += 1
    after = predict(network, batch, (True,))
    torch.testing.assert_close(after[:, :, 0], before[:, :, 0], atol=1e-5, rtol=1e-4)
    assert (after[:, :, 1] - before[:, :, 1]).abs().max() > 1e-3


@torch.no_grad()
def test_the_denoiser_reads_reference_latents_and_pose_beside_the_noise(network: PuppetAnimateAnyone) -> None:
    batch = clips(1, 2)
    conditions = network.reference_conditions(batch)
    concat = conditions.concat_RCHW
    assert torch.equal(concat[:, :CHANNELS], batch.reference_latents_BCHW)
    assert torch.equal(concat[:, CHANNELS:], network.pose_guider(batch.reference_pose_B3HW))
    noise, t_B = torch.randn(1, CHANNELS, 2, SIDE, SIDE), torch.tensor([7])
    pose = network.pose_features(batch, range(2), [True])
    before = network.denoiser(noise, t_B, conditions, pose)
    for part in (slice(None, CHANNELS), slice(CHANNELS, None)):
        other = concat.clone()
        other[:, part] += 1
        changed = PuppetReferenceConditions(blocks=conditions.blocks, concat_RCHW=other)
        assert (network.denoiser(noise, t_B, changed, pose) - before).abs().max() > 1e-3


def test_the_papers_pose_guider_is_refused() -> None:
    with pytest.raises(ValueError, match="needs pose_guider 'released', got 'paper'"):
        PuppetAnimateAnyone(replace(TINY, pose_guider="paper"))


def test_the_size_that_ships_stays_below_21_megabytes_in_half_precision() -> None:
    with torch.device("meta"):
        network = PuppetAnimateAnyone(PUPPETS)
    assert 2 * sum(p.numel() for p in network.parameters()) < 21e6
