from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from stand_in_networks import fill_zeros
from tiny_animate_anyone import TINY
from torch import Tensor

from models.animate_anyone import denoiser as denoiser_module
from models.animate_anyone.config import AnimateAnyoneConfig
from models.animate_anyone.denoiser import ClipDenoiser
from models.animate_anyone.network import AnimateAnyone, ClipConditions
from models.common.unet.unet import is_temporal

pytestmark = pytest.mark.usefixtures("one_thread")

CHANNELS = TINY.unet.in_channels


def new_network(config: AnimateAnyoneConfig = TINY) -> AnimateAnyone:
    torch.manual_seed(0)
    network = AnimateAnyone(config).eval()
    fill_zeros(network)
    return network


def clips(rows: int, num_frames: int, height: int = 8, width: int = 8, *, tokens: int = 1) -> ClipConditions:
    generator = torch.Generator().manual_seed(1)
    rng = np.random.default_rng(1)
    return ClipConditions(
        image_tokens_BLD=torch.randn((rows, tokens, TINY.unet.context_width), generator=generator),
        reference_latents_BCHW=torch.randn((rows, CHANNELS, height, width), generator=generator),
        poses_BFHWC=rng.integers(0, 256, (rows, num_frames, 8 * height, 8 * width, 3), dtype=np.uint8),
    )


def predict(network: AnimateAnyone, clips: ClipConditions, conditional: tuple[bool, ...] | None = None) -> Tensor:
    """With noise that is the same for the same shapes."""
    rows, num_frames = clips.poses_BFHWC.shape[:2]
    shape = (rows, CHANNELS, num_frames, *clips.reference_latents_BCHW.shape[2:])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    mask = torch.ones(rows, dtype=torch.bool) if conditional is None else torch.tensor(conditional)
    predicted: Tensor = network(noise, torch.arange(rows) * 100 + 7, clips, mask)
    return predicted


@torch.no_grad()
def test_rows_with_several_image_tokens_are_those_of_each_clip_alone() -> None:
    network, batch = new_network(), clips(3, 2, tokens=3)
    t_B, mask = torch.tensor([7, 400, 999]), torch.tensor([True, False, True])
    noise = torch.randn((3, CHANNELS, 2, 8, 8), generator=torch.Generator().manual_seed(2))
    together = network(noise, t_B, batch, mask)
    for row in range(3):
        part = slice(row, row + 1)
        alone = network(noise[part], t_B[part], batch.rows([row]), mask[part])
        torch.testing.assert_close(together[part], alone, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_unconditional_rows_read_the_pose_but_neither_reference_nor_image_token() -> None:
    network, batch = new_network(), clips(2, 2)
    before = predict(network, batch, (False, True))
    changes = (
        {"image_tokens_BLD": batch.image_tokens_BLD + 1},
        {"reference_latents_BCHW": batch.reference_latents_BCHW + 1},
    )
    for change in changes:
        after = predict(network, replace(batch, **change), (False, True))
        torch.testing.assert_close(after[0], before[0], atol=1e-6, rtol=0)
        assert (after[1] - before[1]).abs().max() > 1e-3
    after = predict(network, replace(batch, poses_BFHWC=255 - batch.poses_BFHWC), (False, True))
    assert ((after - before).abs().flatten(1).amax(1) > 1e-3).all()


@torch.no_grad()
def test_temporal_layers_are_identities_when_new_and_mix_frames_otherwise() -> None:
    torch.manual_seed(0)
    network, batch = AnimateAnyone(TINY).eval(), clips(1, 4)
    torch.nn.init.normal_(network.denoiser.conv_out.weight)
    with_layers = predict(network, batch)
    network.denoiser.temporal = False
    torch.testing.assert_close(predict(network, batch), with_layers, atol=1e-5, rtol=0)

    network = new_network()
    other = batch.poses_BFHWC.copy()
    other[:, 1:] = 255 - other[:, 1:]
    for temporal in (False, True):
        network.denoiser.temporal = temporal
        first, second = (predict(network, c)[:, :, 0] for c in (batch, replace(batch, poses_BFHWC=other)))
        assert ((second - first).abs().max() > 1e-3) == temporal


def test_temporal_parameters_are_those_of_motion_modules() -> None:
    network = new_network()
    names = {name for name, _ in network.named_parameters()}
    assert {name for name in names if is_temporal(name)} == {name for name in names if ".motion_modules." in name}


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(9, 7), (8, 13), (1, 2)])
def test_predictions_have_the_size_of_the_latents(height: int, width: int) -> None:
    assert predict(new_network(), clips(1, 2, height, width)).shape == (1, CHANNELS, 2, height, width)


@torch.no_grad()
def test_the_papers_pose_guider_is_added_to_the_noise() -> None:
    network, batch = new_network(replace(TINY, pose_guider="paper")), clips(1, 2)
    assert network.pose_features(batch, range(2), [True]).shape == (1, CHANNELS, 2, 8, 8)
    before = predict(network, batch)
    assert (predict(network, replace(batch, poses_BFHWC=255 - batch.poses_BFHWC)) - before).abs().max() > 1e-3


@torch.no_grad()
def test_pose_features_of_long_clips_are_computed_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    network, clip = new_network(), clips(1, 9)
    windows = [list(range(6)), list(range(3, 9))]
    latents = torch.randn((2, CHANNELS, 6, 8, 8), generator=torch.Generator().manual_seed(2))
    guided = []
    network.pose_guider.register_forward_hook(lambda _, args, output: guided.append(len(output)))

    def run() -> Tensor:
        guided.clear()
        denoise = ClipDenoiser(network, clip)
        denoise(latents, 7, windows, [True, True])
        return denoise(latents, 7, windows, [True, False])

    kept = run()
    assert guided == [4, 4, 1]
    monkeypatch.setattr(denoiser_module, "POSE_FEATURE_BYTES", 0)
    torch.testing.assert_close(run(), kept, atol=1e-5, rtol=1e-4)
    assert guided == [4, 2] * 4


def test_more_frames_than_positions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"17 frames.*16"):
        predict(new_network(), clips(1, 17, 2, 2))
