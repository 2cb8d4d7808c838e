from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_animate_anyone import TINY

from models.animate_anyone.config import EMBEDDED, AnimateAnyoneConfig
from models.animate_anyone.network import AnimateAnyone

pytestmark = pytest.mark.usefixtures("one_thread")

CHANNELS = TINY.unet.in_channels


def new_network(config: AnimateAnyoneConfig = TINY) -> AnimateAnyone:
    torch.manual_seed(0)
    network = AnimateAnyone(config).eval()
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def batch(rows: int, num_frames: int, size: int = 8) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "latents_BCFHW": normal(rows, CHANNELS, num_frames, size, size),
        "t_B": torch.arange(rows) * 100 + 7,
        "image_tokens_BLD": normal(rows, 1, 64),
        "pose_BF3HW": torch.rand((rows, num_frames, 3, 8 * size, 8 * size), generator=generator),
        "reference_latents_BCHW": normal(rows, CHANNELS, size, size),
        "conditional_B": torch.ones(rows, dtype=torch.bool),
        "reference_pose_B3HW": torch.rand((rows, 3, 8 * size, 8 * size), generator=generator),
        "warped_BCFHW": normal(rows, CHANNELS, num_frames, size, size),
    }


@torch.no_grad()
@pytest.mark.parametrize("tokens", [1, 3])
def test_rows_of_a_batch_know_nothing_of_each_other_whatever_their_conditions(tokens: int) -> None:
    network = new_network()
    given = batch(4, 3)
    given["conditional_B"] = torch.tensor([True, False, True, False])
    given["image_tokens_BLD"] = torch.randn((4, tokens, 64), generator=torch.Generator().manual_seed(2))
    together = network(**given)
    for row in range(4):
        alone = network(**{name: value[row : row + 1] for name, value in given.items()})
        torch.testing.assert_close(together[row : row + 1], alone, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_rows_without_conditions_see_neither_reference_nor_token_but_the_pose() -> None:
    network = new_network()
    given = batch(2, 2)
    given["conditional_B"] = torch.tensor([False, True])
    before = network(**given)
    other = network(
        **{
            **given,
            "image_tokens_BLD": given["image_tokens_BLD"] + 1,
            "reference_latents_BCHW": given["reference_latents_BCHW"] + 1,
            "reference_pose_B3HW": 1 - given["reference_pose_B3HW"],
            "warped_BCFHW": given["warped_BCFHW"] + 1,
        }
    )
    torch.testing.assert_close(other[0], before[0], atol=1e-6, rtol=0)
    assert (other[1] - before[1]).abs().max() > 1e-3
    moved = network(**{**given, "pose_BF3HW": 1 - given["pose_BF3HW"]})
    assert ((moved - before).abs().flatten(1).amax(1) > 1e-3).all()


@torch.no_grad()
def test_without_temporal_layers_frames_are_apart_and_new_ones_change_nothing() -> None:
    torch.manual_seed(0)
    network = AnimateAnyone(TINY).eval()
    torch.nn.init.normal_(network.denoiser.conv_out.weight)
    given = batch(1, 4)
    with_layers = network(**given)
    network.denoiser.temporal = False
    torch.testing.assert_close(network(**given), with_layers, atol=1e-5, rtol=0)
    network = new_network()
    network.denoiser.temporal = False
    by_frame = {name: given[name][:, :, :1] for name in ("latents_BCFHW", "warped_BCFHW")}
    alone = network(**{**given, **by_frame, "pose_BF3HW": given["pose_BF3HW"][:, :1]})
    torch.testing.assert_close(network(**given)[:, :, :1], alone, atol=1e-5, rtol=1e-4)
    network.denoiser.temporal = True
    assert (network(**given)[:, :, :1] - alone).abs().max() > 1e-3


def test_checkpointing_gives_the_same_gradients() -> None:
    network, given = new_network(), batch(2, 2)
    gradients = []
    for again in (False, True):
        network.zero_grad()
        network.denoiser.gradient_checkpointing = network.reference_net.gradient_checkpointing = again
        network(**given).square().mean().backward()
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second)


def test_every_parameter_that_can_learn_does() -> None:
    network, given = new_network(), batch(2, 2)
    network(**given).square().mean().backward()
    idle = [name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    # One image token leaves nothing to attend to: its queries and keys do not matter.
    assert not [name for name in idle if not any(part in name for part in ("attn2.to_q", "attn2.to_k", ".norm2."))]
    stage_2 = {id(p) for p in network.temporal_parameters()}
    assert {name for name, p in network.named_parameters() if id(p) in stage_2} == {
        name for name, _ in network.named_parameters() if ".motion_modules." in name
    }


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(9, 7), (8, 13), (1, 2)])
def test_odd_sizes_come_back_as_they_are(height: int, width: int) -> None:
    network = new_network()
    given = batch(1, 2)
    given["latents_BCFHW"] = torch.randn(1, CHANNELS, 2, height, width)
    given["reference_latents_BCHW"] = torch.randn(1, CHANNELS, height, width)
    given["pose_BF3HW"] = torch.rand(1, 2, 3, 8 * height, 8 * width)
    given["reference_pose_B3HW"] = given["pose_BF3HW"][:, 0]
    given["warped_BCFHW"] = given["latents_BCFHW"]
    assert network(**given).shape == (1, CHANNELS, 2, height, width)


@torch.no_grad()
def test_the_papers_pose_guider_is_added_to_the_noise() -> None:
    network = new_network(replace(TINY, pose_guider="paper", reference_pose=False, limb_warp=False))
    given = batch(1, 2)
    del given["reference_pose_B3HW"], given["warped_BCFHW"]
    before = network(**given)
    assert network.pose_features(given["pose_BF3HW"]).shape == given["latents_BCFHW"].shape
    assert (network(**{**given, "pose_BF3HW": 1 - given["pose_BF3HW"]}) - before).abs().max() > 1e-3


@torch.no_grad()
def test_the_references_skeleton_is_seen_where_the_configuration_says_so() -> None:
    given = batch(1, 2)
    drawn = given["reference_pose_B3HW"]
    network = new_network()
    assert (network(**{**given, "reference_pose_B3HW": 1 - drawn}) - network(**given)).abs().max() > 1e-3
    with pytest.raises(ValueError, match="reference_pose=True, got no drawing"):
        network(**{**given, "reference_pose_B3HW": None})
    with pytest.raises(ValueError, match="reference_pose=False, got a drawing"):
        new_network(replace(TINY, reference_pose=False))(**given)
    with pytest.raises(ValueError, match="reference_pose needs pose_guider 'released'"):
        replace(TINY, pose_guider="paper")


@torch.no_grad()
def test_the_reference_moved_limb_by_limb_is_seen_frame_by_frame_where_the_configuration_says_so() -> None:
    given = batch(1, 2)
    network = new_network()
    network.denoiser.temporal = False
    before = network(**given)
    given["warped_BCFHW"][:, :, 1] += 1
    after = network(**given)
    torch.testing.assert_close(after[:, :, 0], before[:, :, 0], atol=1e-5, rtol=1e-4)
    assert (after[:, :, 1] - before[:, :, 1]).abs().max() > 1e-3
    with pytest.raises(ValueError, match="limb_warp=True, got no latents of"):
        network(**{**given, "warped_BCFHW": None})
    with pytest.raises(ValueError, match="limb_warp=False, got latents of"):
        new_network(replace(TINY, limb_warp=False))(**given)
    with pytest.raises(ValueError, match="limb_warp needs pose_guider 'released'"):
        replace(TINY, pose_guider="paper", reference_pose=False)


@torch.no_grad()
def test_the_denoiser_sees_the_reference_and_its_skeleton_beside_the_noise() -> None:
    network = new_network()
    given = batch(1, 2)
    tokens, latents = given["image_tokens_BLD"], given["reference_latents_BCHW"]
    drawn, pose = given["reference_pose_B3HW"], network.pose_features(given["pose_BF3HW"])
    conditions = network.conditions(tokens, latents, drawn)
    beside = conditions.beside_RCHW
    assert beside is not None
    assert torch.equal(beside[:, :CHANNELS], latents)
    assert torch.equal(beside[:, CHANNELS:], network.pose_guider(drawn))
    noise, t_B = given["latents_BCFHW"], given["t_B"]
    before = network.denoiser(noise, t_B, conditions, pose)
    for part in (slice(None, CHANNELS), slice(CHANNELS, None)):
        other = beside.clone()
        other[:, part] += 1
        after = network.denoiser(noise, t_B, replace(conditions, beside_RCHW=other), pose)
        assert (after - before).abs().max() > 1e-3
    plain = new_network(replace(TINY, reference_latents=False))
    assert plain.conditions(tokens, latents, drawn).beside_RCHW is None
    assert plain.denoiser.config.in_channels == CHANNELS


def test_more_frames_than_there_are_places_for_are_refused() -> None:
    with pytest.raises(ValueError, match=r"17 frames.*places for 16"):
        new_network()(**batch(1, 17, size=2))


def test_the_embedded_size_fits_what_may_be_shipped() -> None:
    with torch.device("meta"):
        network = AnimateAnyone(EMBEDDED)
    assert sum(p.numel() for p in network.parameters()) * 2 < 21e6  # in half precision, beside 4 MB of VAE and encoder
