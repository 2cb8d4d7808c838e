from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stand_in_networks import fill_zeros
from tiny_animate_anyone_2 import TINY
from torch import Tensor

from models.animate_anyone_2.conditions import ClipConditions
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.animate_anyone_2.guiders import ObjectGuider
from models.animate_anyone_2.implementation import AnimateAnyone2Implementation
from models.animate_anyone_2.network import FRAMES_AT_ONCE, AnimateAnyone2
from models.common.checkpoint import save_checkpoint
from models.common.unet.blending import SpatialBlending
from models.common.unet.config import BlendingConfig
from models.systems import find_model

pytestmark = pytest.mark.usefixtures("one_thread")

CHANNELS = TINY.unet.in_channels
ABLATIONS = {
    "no blending": replace(TINY, objects="channels"),
    "no objects": replace(TINY, objects="none"),
    "skeleton alone": replace(TINY, pose_modulation=False),
    "no masks": replace(TINY, mask_channels=False),
    "blending in objects": replace(TINY, object_extent="mask"),
    "a weight per channel": replace(TINY, blending=BlendingConfig(weights="channel", middle=False)),
}


def new_network(config: AnimateAnyone2Config = TINY) -> AnimateAnyone2:
    torch.manual_seed(0)
    network = AnimateAnyone2(config).eval()
    fill_zeros(network)
    return network


def clips(rows: int, num_frames: int, height: int = 8, width: int = 8, *, object_rows: int = 8) -> ClipConditions:
    """Clips with an object in the left upper part of every frame, `object_rows` latents high."""
    generator = torch.Generator().manual_seed(1)
    rng = np.random.default_rng(1)
    missing, objects = torch.zeros((2, rows, 1, num_frames, height, width))
    missing[..., 1:6, 2:5] = 1
    objects[..., :object_rows, :2] = 1
    return ClipConditions(
        image_tokens_BLD=torch.randn((rows, 1, TINY.unet.context_width), generator=generator),
        reference_latents_BCHW=torch.randn((rows, CHANNELS, height, width), generator=generator),
        poses_BFHWC=rng.integers(0, 256, (rows, num_frames, 8 * height, 8 * width, 3), dtype=np.uint8),
        depth_BFHW=rng.integers(0, 256, (rows, num_frames, 8 * height, 8 * width), dtype=np.uint8),
        environment_BCFHW=torch.randn((rows, CHANNELS, num_frames, height, width), generator=generator),
        environment_mask_B1FHW=missing,
        objects_BCFHW=torch.randn((rows, CHANNELS, num_frames, height, width), generator=generator) * (object_rows > 0),
        object_mask_B1FHW=objects,
    )


def predict(network: AnimateAnyone2, batch: ClipConditions, conditional: Sequence[bool] | None = None) -> Tensor:
    """With noise that is the same for the same shapes."""
    rows, num_frames = batch.poses_BFHWC.shape[:2]
    shape = (rows, CHANNELS, num_frames, *batch.reference_latents_BCHW.shape[2:])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    predicted: Tensor = network(noise, torch.arange(rows) * 100 + 7, batch, conditional or [True] * rows)
    return predicted


def differs(first: Tensor, second: Tensor) -> bool:
    return bool((first - second).abs().max() > 1e-3)


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
def test_without_objects_the_guider_and_blending_do_nothing(size: tuple[int, int]) -> None:
    network = new_network()
    without, with_objects = clips(1, 2, *size, object_rows=0), clips(1, 2, *size)
    expected = predict(network, without)
    assert differs(predict(network, with_objects), expected)
    for parameter in network.object_guider.parameters():  # type: ignore[union-attr]
        parameter.mul_(3.0)
    torch.testing.assert_close(predict(network, without), expected)


@torch.no_grad()
def test_an_object_changes_no_frame_or_place_outside_its_extent() -> None:
    x, objects = torch.randn((2, 1, 4, 6, 6), generator=torch.Generator().manual_seed(0))
    presence = torch.zeros(1, 1, 6, 6)
    presence[..., :3, :3] = 1
    blending = SpatialBlending(4, BlendingConfig())
    blended = blending(x, objects, presence)
    torch.testing.assert_close(blended[..., :3, :3], (x + objects)[..., :3, :3] / 2)  # α begins at one half
    assert torch.equal(blended[..., 3:, :], x[..., 3:, :])
    assert torch.equal(blended[..., 3:], x[..., 3:])


@torch.no_grad()
def test_the_extent_of_objects_is_their_frame_or_their_mask() -> None:
    batch = clips(1, 2, object_rows=2)
    batch.object_mask_B1FHW[:, :, 1] = 0
    for extent, shares in (("frame", (1.0, 0.0)), ("mask", (4 / 64, 0.0))):
        network = new_network(replace(TINY, object_extent=extent))
        presence = network.window_conditions(batch, range(2), [True]).presence
        assert tuple(presence[0].mean((0, 1, 3, 4)).tolist()) == shares
        assert [level.shape[3:] for level in presence] == [(8, 8), (4, 4)]


@torch.no_grad()
def test_reference_features_reach_the_middle_and_the_decoder_only() -> None:
    network = new_network()
    conditions = network.reference_conditions(clips(1, 1))
    encoder = network.denoiser.num_encoder_transformers
    assert encoder == 2
    assert [block.reference is None for block in conditions] == [True] * encoder + [False] * (len(conditions) - encoder)


@torch.no_grad()
def test_levels_of_the_guider_fit_the_decoder_at_odd_sizes() -> None:
    levels = ObjectGuider(5, (8, 16, 24, 24))(torch.zeros(1, 5, 13, 9))
    assert [tuple(level.shape[1:]) for level in levels] == [(8, 13, 9), (16, 7, 5), (24, 4, 3), (24, 2, 2)]


@torch.no_grad()
def test_depth_changes_the_pose_of_its_own_and_neighbouring_frames() -> None:
    network, batch = new_network(), clips(1, FRAMES_AT_ONCE + 3)
    before = network.pose_features(batch, range(7), [True])
    depth = batch.depth_BFHW.copy()
    depth[:, 4] = 255 - depth[:, 4]
    change = (network.pose_features(replace(batch, depth_BFHW=depth), range(7), [True]) - before).abs()
    assert (change.amax((0, 1, 3, 4)) > 1e-6).tolist() == [False, False, False, True, True, True, False]


def test_a_new_network_begins_without_pose_depth_or_environment() -> None:
    """As ControlNet does, so that a pretrained U-Net begins as it was: only blending begins at one half (§3.3)."""
    torch.manual_seed(0)
    network = AnimateAnyone2(TINY)
    assert not network.pose_features(clips(1, 2), range(2), [True]).any()


@torch.no_grad()
@pytest.mark.parametrize("name", ABLATIONS)
def test_ablations_predict_and_read_what_is_left(name: str) -> None:
    network, batch = new_network(ABLATIONS[name]), clips(2, 3)
    predicted = predict(network, batch, (False, True))
    assert predicted.shape == (2, CHANNELS, 3, 8, 8)
    assert differs(
        predict(network, replace(batch, environment_BCFHW=-batch.environment_BCFHW), (False, True)), predicted
    )
    without_objects = replace(batch, objects_BCFHW=-batch.objects_BCFHW)
    assert differs(predict(network, without_objects, (False, True)), predicted) == (name != "no objects")
    other_depth = replace(batch, depth_BFHW=255 - batch.depth_BFHW)
    assert differs(predict(network, other_depth, (False, True)), predicted) == (name != "skeleton alone")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"objects": "mixed"}, "objects of blending, channels, none"),
        ({"object_extent": "clip"}, "object_extent of frame, mask"),
        ({"smoothing_kernel": 2}, "must be odd"),
    ],
)
def test_bad_configurations_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(TINY, **change)  # type: ignore[arg-type]


def test_known_frames_are_the_environment_and_miss_nothing() -> None:
    batch = clips(1, 4)
    latents = torch.randn(CHANNELS, 2, 8, 8)
    known = batch.with_known_frames([0, 1], latents)
    assert torch.equal(known.environment_BCFHW[0, :, :2], latents)
    assert not known.environment_mask_B1FHW[:, :, :2].any()
    assert torch.equal(known.environment_BCFHW[:, :, 2:], batch.environment_BCFHW[:, :, 2:])
    assert torch.equal(known.environment_mask_B1FHW[:, :, 2:], batch.environment_mask_B1FHW[:, :, 2:])
    assert batch.environment_mask_B1FHW[:, :, :2].any()


def test_trained_weights_load_completely_and_nothing_else_does(tmp_path: Path) -> None:
    implementation = AnimateAnyone2Implementation()
    network = new_network()
    path = tmp_path / "network.safetensors"
    save_checkpoint(network.state_dict(), path, metadata={})
    loaded = implementation.load_published(path, TINY).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in network.state_dict().items())
    with pytest.raises(ValueError, match="14 unexpected"):
        implementation.load_published(path, ABLATIONS["no objects"])


def test_weights_that_nobody_publishes_are_asked_for_by_the_command_that_makes_them() -> None:
    with pytest.raises(
        ValueError, match="no weights of animate-anyone-2 are published; train them with `zoetrope train"
    ):
        find_model("animate-anyone-2").digest(None)
