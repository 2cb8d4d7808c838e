from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNetMotionModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from stand_in_networks import randomise

from models.animate_anyone.config import AnimateAnyoneConfig
from models.animate_anyone.network import Denoiser, ReferenceConditions
from models.common.unet.config import MambaConfig, TemporalConfig, UNetConfig
from models.common.unet.temporal import TemporalTransformer

CHECKOUT = Path(__file__).resolve().parents[4]
CLIPS, FRAMES, WIDTH, PLACES = 2, 5, 16, 8


def layer(config: TemporalConfig) -> TemporalTransformer:
    network = TemporalTransformer(WIDTH, config, norm_groups=4).eval()
    randomise(network)
    return network


def images(seed: int = 0) -> torch.Tensor:
    """Frames of very different brightness and contrast, so that it matters what statistics are taken over."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((CLIPS * FRAMES, WIDTH, 3, 4), generator=generator)
    return (
        noise * torch.linspace(0.5, 3, len(noise))[:, None, None, None] + torch.arange(len(noise))[:, None, None, None]
    )


def diffusers_layer(ours: TemporalTransformer) -> AnimateDiffTransformer3D:
    """diffusers' motion module with our weights."""
    theirs = AnimateDiffTransformer3D(
        num_attention_heads=ours.config.num_heads,
        attention_head_dim=WIDTH // ours.config.num_heads,
        in_channels=WIDTH,
        norm_num_groups=4,
        positional_embeddings="sinusoidal",
        num_positional_embeddings=ours.config.max_frames,
    ).eval()
    found = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert not found.unexpected_keys
    assert all(key.endswith("pos_embed.pe") for key in found.missing_keys)
    return theirs


@torch.no_grad()
def test_pooled_statistics_give_the_numbers_of_diffusers_motion_module() -> None:
    ours = layer(TemporalConfig(max_frames=PLACES, num_heads=2, norm="pooled"))
    x = images()
    expected = diffusers_layer(ours)(x, num_frames=FRAMES)
    assert (expected - x).abs().max() > 0.1
    for x_ in (x, x.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(ours(x_, FRAMES), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_statistics_per_frame_give_diffusers_numbers_where_its_norm_is_done_frame_by_frame() -> None:
    """AnimateDiff v2's "inflated" norm, which diffusers dropped, put in its place again."""
    ours = layer(TemporalConfig(max_frames=PLACES, num_heads=2))
    theirs = diffusers_layer(ours)
    pooled = theirs(images(), num_frames=FRAMES)
    norm = theirs.norm

    class Inflated(torch.nn.Module):
        def forward(self, x_BCFHW: torch.Tensor) -> torch.Tensor:
            return torch.stack([norm(frame) for frame in x_BCFHW.unbind(2)], 2)

    theirs.norm = Inflated()
    for x in (images(), images().contiguous(memory_format=torch.channels_last)):
        found = ours(x, FRAMES)
        torch.testing.assert_close(found, theirs(images(), num_frames=FRAMES), atol=1e-5, rtol=1e-5)
        assert (found - pooled).abs().max() > 0.1


@torch.no_grad()
def test_with_pooled_statistics_the_whole_network_is_diffusers_motion_model() -> None:
    config = AnimateAnyoneConfig(
        unet=UNetConfig(
            widths=(16, 32), attention=(True, False), layers_per_block=1, num_heads=2, context_width=12, norm_groups=4
        ),
        temporal=TemporalConfig(max_frames=PLACES, num_heads=2, norm="pooled"),
    )
    ours = Denoiser(config).eval()
    randomise(ours)
    theirs = UNetMotionModel(
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
        up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion"),
        block_out_channels=config.unet.widths,
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=12,
        num_attention_heads=2,
        motion_num_attention_heads=2,
        motion_max_seq_length=PLACES,
        use_motion_mid_block=True,
    ).eval()
    found = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert not found.unexpected_keys
    assert all(key.endswith("pos_embed.pe") for key in found.missing_keys)
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn((CLIPS, 4, FRAMES, 8, 6), generator=generator)
    tokens = torch.randn((CLIPS, 3, 12), generator=generator)
    t = torch.tensor([500, 20])
    expected = theirs(latents, t, tokens.repeat_interleave(FRAMES, 0)).sample
    conditions = ReferenceConditions(blocks=ours.conditions(tokens))
    torch.testing.assert_close(ours(latents, t, conditions), expected, atol=1e-5, rtol=1e-5)
    apart = Denoiser(replace(config, temporal=replace(config.temporal, norm="per_frame"))).eval()
    apart.load_state_dict(ours.state_dict())
    assert (apart(latents, t, conditions) - expected).abs().max() > 1e-2


def test_learning_behind_frozen_channels_last_layers_gives_the_same_gradients_and_no_crash() -> None:
    """In a process of its own: what is tested for is a segmentation fault."""
    program = """
import torch
from models.common.unet.config import TemporalConfig
from models.common.unet.temporal import TemporalTransformer

torch.manual_seed(0)
for norm in ("per_frame", "pooled"):
    layer = TemporalTransformer(48, TemporalConfig(norm=norm, num_heads=4), norm_groups=16)
    torch.nn.init.normal_(layer.proj_out.weight)
    x = torch.randn(16, 48, 16, 16)
    channels_last = x.contiguous(memory_format=torch.channels_last)
    gradients = []
    for given in (channels_last, channels_last.clone().requires_grad_(), x):
        layer.zero_grad()
        layer(given, 16).square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in layer.parameters()])
    for others in gradients[1:]:
        for first, other in zip(gradients[0], others, strict=True):
            torch.testing.assert_close(first, other, atol=1e-4, rtol=1e-4)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_more_frames_than_places_are_refused() -> None:
    with pytest.raises(ValueError, match=r"9 frames.*positions for 8"):
        layer(TemporalConfig(max_frames=PLACES, num_heads=2))(torch.zeros(9, WIDTH, 2, 2), 9)


@torch.no_grad()
def test_a_first_frame_that_passes_by_is_neither_changed_nor_read() -> None:
    plain = layer(TemporalConfig(max_frames=PLACES, num_heads=2))
    passing = layer(TemporalConfig(max_frames=PLACES, num_heads=2, passes_first_frame=True))
    x = images()
    by_clip = x.unflatten(0, (CLIPS, FRAMES))
    found = passing(x, FRAMES).unflatten(0, (CLIPS, FRAMES))
    torch.testing.assert_close(found[:, 0], by_clip[:, 0], atol=0, rtol=0)
    moving = plain(by_clip[:, 1:].flatten(0, 1), FRAMES - 1)
    torch.testing.assert_close(found[:, 1:].flatten(0, 1), moving)
    longest = images().repeat(2, 1, 1, 1)[: PLACES + 1]
    assert passing(longest, PLACES + 1).shape == longest.shape
    with pytest.raises(ValueError, match=f"a window has {PLACES + 1} frames, .* positions for {PLACES}"):
        passing(images().repeat(2, 1, 1, 1)[: PLACES + 2], PLACES + 2)


@pytest.mark.parametrize("changes", [{"norm": "pooled"}, {"layout": "modelscope"}, {"mamba": MambaConfig()}])
def test_a_first_frame_passes_by_per_frame_motion_modules_only(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="passes_first_frame needs layout 'animatediff'"):
        TemporalConfig(passes_first_frame=True, **changes)
