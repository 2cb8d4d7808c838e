from __future__ import annotations

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D
from stand_in_networks import randomise
from torch import Tensor

from models.common.unet.config import UNetConfig
from models.common.unet.resnet import Resnet, pooled_norm

CONFIG = UNetConfig(widths=(8,), attention=(True,), norm_groups=4)
POOLED = UNetConfig(widths=(8,), attention=(True,), norm_groups=4, residual_norm="pooled")
CLIPS, FRAMES = 2, 3


def resnet(config: UNetConfig, after: int = 16) -> Resnet:
    network = Resnet(8, after, config).eval()
    randomise(network)
    return network


def images() -> tuple[Tensor, Tensor]:
    """Frames of very different contrast, and embeddings."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((CLIPS * FRAMES, 8, 4, 5), generator=generator)
    embedding = torch.randn((CLIPS * FRAMES, 32), generator=generator)
    return x * torch.linspace(0.2, 4, CLIPS * FRAMES)[:, None, None, None], embedding


def side_by_side(x_NCHW: Tensor) -> Tensor:
    """The frames of each clip as one wide picture."""
    return torch.stack([torch.cat(list(clip), 2) for clip in x_NCHW.unflatten(0, (CLIPS, FRAMES))])


@torch.no_grad()
def test_statistics_per_frame_are_diffusers() -> None:
    ours = resnet(CONFIG)
    theirs = ResnetBlock2D(in_channels=8, out_channels=16, temb_channels=32, groups=4, eps=1e-5).eval()
    theirs.load_state_dict(ours.state_dict())
    x, embedding = images()
    torch.testing.assert_close(ours(x, embedding, FRAMES), theirs(x, embedding), atol=0, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("after", [8, 16])
def test_pooled_statistics_are_those_of_the_frames_side_by_side(after: int) -> None:
    """With convolutions of one tap, frames do not touch one another in the picture."""
    pooled, per_frame = resnet(POOLED, after), resnet(CONFIG, after)
    for network in (pooled, per_frame):
        for convolution in (network.conv1, network.conv2):
            convolution.weight[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    x, embedding = images()
    embedding = embedding[::FRAMES].repeat_interleave(FRAMES, 0)
    expected = per_frame(side_by_side(x), embedding[::FRAMES])
    torch.testing.assert_close(side_by_side(pooled(x, embedding, FRAMES)), expected)
    assert (side_by_side(per_frame(x, embedding)) - expected).abs().max() > 0.1


@torch.no_grad()
def test_pooled_statistics_of_one_frame_are_its_own() -> None:
    norm, (x, _) = torch.nn.GroupNorm(4, 8), images()
    torch.testing.assert_close(pooled_norm(norm, x, 1), norm(x))
