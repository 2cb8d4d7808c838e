from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from diffusers.models.resnet import TemporalConvLayer
from stand_in_networks import fill_zeros
from tiny_animate_x import TINY, UNIANIMATE_TINY
from torch import Tensor

from models.animate_x.config import ANIMATE_X, UNIANIMATE, AnimateXConfig
from models.animate_x.network import DROPPABLE, AnimateX, ClipConditions
from models.common.unet import temporal
from models.common.unet.unet import is_temporal

pytestmark = pytest.mark.usefixtures("one_thread")

CHANNELS = TINY.unet.in_channels
FIRST_FRAME = replace(TINY, reference="first_frame")
BOTH = replace(TINY, reference="both")
MOTION = {"keypoints_BGK", "features_BGE"}
PICTURE = {"reference_B3HW"}
FRAME = {"reference_latents_BCHW", "reference_pose_B3HW"}


def new_network(config: AnimateXConfig = TINY) -> AnimateX:
    torch.manual_seed(0)
    network = AnimateX(config).eval()
    fill_zeros(network)
    return network


def clips(rows: int, num_frames: int, height: int = 4, width: int = 4) -> ClipConditions:
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    poses = np.random.default_rng(1).integers(0, 256, (rows, num_frames, 8 * height, 8 * width, 3), dtype=np.uint8)
    return ClipConditions(
        image_embeds_BE=normal(rows, 64),
        text_tokens_1LD=normal(1, 5, 64),
        reference_B3HW=uniform(rows, 3, 8 * height, 8 * width),
        reference_latents_BCHW=normal(rows, CHANNELS, height, width),
        reference_pose_B3HW=uniform(rows, 3, 8 * height, 8 * width),
        poses_BFHWC=poses,
        keypoints_BGK=uniform(rows, num_frames + 1, 36),
        features_BGE=normal(rows, num_frames + 1, 64),
    )


def predict(
    network: AnimateX, clips: ClipConditions, conditional: tuple[bool, ...] | None = None, kept: Tensor | None = None
) -> Tensor:
    """With noise that is the same for the same shapes."""
    rows, num_frames = clips.poses_BFHWC.shape[:2]
    shape = (rows, CHANNELS, num_frames, *clips.reference_latents_BCHW.shape[2:])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    mask = torch.ones(rows, dtype=torch.bool) if conditional is None else torch.tensor(conditional)
    predicted: Tensor = network(noise, torch.arange(rows) * 100 + 7, clips, mask, kept)
    return predicted


def changed_inputs(clips: ClipConditions) -> dict[str, ClipConditions]:
    """By the name of the input that is changed."""
    names = {field.name for field in fields(clips)} - {"text_tokens_1LD", "poses_BFHWC"}
    changed = {name: replace(clips, **{name: getattr(clips, name) + 1}) for name in names}
    return {**changed, "poses_BFHWC": replace(clips, poses_BFHWC=255 - clips.poses_BFHWC)}


@torch.no_grad()
@pytest.mark.parametrize(
    ("config", "read"),
    [
        (TINY, PICTURE | MOTION),
        (FIRST_FRAME, FRAME | MOTION),
        (BOTH, PICTURE | FRAME | MOTION),
        (UNIANIMATE_TINY, FRAME),
    ],
    ids=["picture", "first_frame", "both", "unianimate"],
)
def test_conditional_rows_read_the_conditions_of_their_configuration_and_unconditional_ones_none(
    config: AnimateXConfig, read: set[str]
) -> None:
    network, batch = new_network(config), clips(2, 2)
    before = predict(network, batch, (False, True))
    for name, other in changed_inputs(batch).items():
        change = (predict(network, other, (False, True)) - before).abs().amax((1, 2, 3, 4))
        assert change[0] < 1e-6, name
        assert (change[1] > 1e-4) == (name in read | {"image_embeds_BE", "poses_BFHWC"}), name


@torch.no_grad()
@pytest.mark.parametrize(
    ("condition", "inputs"),
    [("image_tokens", {"image_embeds_BE"}), ("reference", PICTURE | FRAME), ("skeletons", {"poses_BFHWC"})],
)
def test_a_dropped_condition_is_the_only_one_that_a_row_does_not_read(condition: str, inputs: set[str]) -> None:
    network, batch = new_network(BOTH), clips(2, 2)
    kept = torch.ones(2, len(DROPPABLE), dtype=torch.bool)
    kept[0, DROPPABLE.index(condition)] = False
    before = predict(network, batch, kept=kept)
    for name, other in changed_inputs(batch).items():
        change = (predict(network, other, kept=kept) - before).abs().amax((1, 2, 3, 4))
        assert (change[0] < 1e-6) == (name in inputs), name
        assert change[1] > 1e-4, name


def test_inputs_that_the_configuration_reads_must_be_given() -> None:
    with pytest.raises(ValueError, match="reference 'both' reads the reference's skeleton, got none"):
        predict(new_network(BOTH), replace(clips(1, 2), reference_pose_B3HW=None))
    with pytest.raises(ValueError, match="the pose indicator reads keypoints and embeddings"):
        predict(new_network(), replace(clips(1, 2), keypoints_BGK=None))


@torch.no_grad()
@pytest.mark.parametrize(("num_frames", "height", "width"), [(1, 3, 5), (40, 2, 2), (3, 1, 7)])
def test_any_resolution_and_any_length(num_frames: int, height: int, width: int) -> None:
    predicted = predict(new_network(), clips(1, num_frames, height, width))
    assert predicted.shape == (1, CHANNELS, num_frames, height, width)


@torch.no_grad()
def test_motion_attention_is_added_alpha_times() -> None:
    batch = clips(1, 2)

    def added(alpha: float) -> Tensor:
        # One pose transformer: between others α would act through them as well.
        unet = replace(TINY.unet, widths=(16,), attention=(True,), pose_attention=alpha)
        network = new_network(replace(TINY, unet=unet))
        differences: list[Tensor] = []
        module = network.denoiser.pose_transformers[0]
        module.register_forward_hook(lambda _, args, output: differences.append(output[0] - args[0]))
        predict(network, batch)
        return differences[0]

    assert added(1.0).abs().max() > 1e-3
    torch.testing.assert_close(added(0.5), 0.5 * added(1.0))
    assert not added(0.0).any()


def test_new_motion_attention_and_temporal_layers_are_identities() -> None:
    torch.manual_seed(0)
    network, batch = AnimateX(TINY), clips(1, 3)
    assert not any(layer.proj_out.weight.any() for layer in network.denoiser.pose_transformers)
    network.denoiser.temporal = True
    torch.nn.init.normal_(network.denoiser.conv_out.weight)
    with_layers = predict(network, batch)
    network.denoiser.temporal = False
    torch.testing.assert_close(predict(network, batch), with_layers, atol=1e-5, rtol=0)


def test_temporal_parameters_are_those_of_layers_over_frames() -> None:
    denoiser = new_network().denoiser
    names = {name for name, _ in denoiser.named_parameters() if is_temporal(name)}
    assert names == {
        f"{place}.{name}"
        for place, module in denoiser.named_modules()
        if isinstance(module, TemporalConvLayer) or type(module).__module__ == temporal.__name__
        for name, _ in module.named_parameters()
    }
    assert {name.split(".")[0] for name in names if "blocks" not in name} == {"transformer_in", "mid_block"}


def test_an_indicator_without_motion_attention_is_refused() -> None:
    with pytest.raises(ValueError, match="motion attention reads the pose indicator's tokens"):
        replace(TINY, indicator=None)


def test_released_sizes() -> None:
    with torch.device("meta"):
        sizes = {
            name: sum(p.numel() for p in AnimateX(c).parameters()) for name, c in (("x", ANIMATE_X), ("u", UNIANIMATE))
        }
    assert sizes == {
        "x": 1_817_742_348 - 33 * 1024,  # a published table of positions is computed here
        "u": 1_416_564_300,
    }
