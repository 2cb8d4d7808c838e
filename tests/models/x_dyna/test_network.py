from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from stand_in_networks import fill_zeros, randomise
from tiny_systems import CPU, SIDE_PX, new_animator, new_network, request, tiny_model
from tiny_x_dyna import TINY
from torch import Tensor

from models.animation.animator import AnimationInputs, Animator, RequestEncoder
from models.animation.signals import CONTROLS, FACE_CONTROL
from models.common.unet.attention import MultiHeadAttention
from models.common.unet.control import ControlResiduals
from models.x_dyna.blocks import AdapterAttention, DynamicsBlock
from models.x_dyna.conditions import ClipConditions, ControlPictures
from models.x_dyna.config import XDynaConfig
from models.x_dyna.denoiser import ClipDenoiser
from models.x_dyna.network import XDyna

pytestmark = pytest.mark.usefixtures("one_thread")

MODEL = tiny_model("x-dyna")
SIDE = SIDE_PX // 8
FRAMES = [0, 1, 2]


def noise(rows: int = 1, num_frames: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((rows, TINY.unet.in_channels, num_frames, SIDE, SIDE), generator=generator)


@torch.no_grad()
def conditions(network: XDyna, inputs: AnimationInputs | None = None) -> ClipConditions:
    inputs = inputs or request()
    animator = new_animator(MODEL)
    clip = inputs.clip(len(inputs.pose_THWC))
    encoder = RequestEncoder(clip, animator.encoders, device=CPU, dtype=torch.float32, batch=2)
    found: ClipConditions = animator.implementation.conditions(clip, encoder, network)
    return found


@torch.no_grad()
def predicted(network: XDyna, clip: ClipConditions, x: Tensor | None = None, *, conditional: bool = True) -> Tensor:
    return ClipDenoiser(network, clip)(noise() if x is None else x, 500, [FRAMES], [conditional])


def configured(**changes: Any) -> XDyna:
    """The smallest network with another configuration, random weights also where they are zero at first."""
    torch.manual_seed(0)
    network = XDyna(replace(TINY, **changes)).eval()
    fill_zeros(network)
    return network


# Dynamics-Adapter


@torch.no_grad()
def test_at_initialisation_the_adapter_is_the_identity() -> None:
    attention = AdapterAttention(16, num_heads=2)
    torch.testing.assert_close(attention.to_q_ff.weight, attention.to_q.weight)
    plain = MultiHeadAttention(16, num_heads=2)
    plain.load_state_dict({name: value for name, value in attention.state_dict().items() if "_ff" not in name})
    x = torch.randn(6, 9, 16)
    torch.testing.assert_close(attention.over_clips(x, 3), plain(x), atol=0, rtol=0)
    fill_zeros(attention)
    assert (attention.over_clips(x, 3) - plain(x)).abs().max() > 0.01


@torch.no_grad()
def test_the_adapter_attends_to_the_first_frame_of_its_own_clip() -> None:
    attention = AdapterAttention(16, num_heads=2)
    randomise(attention)
    x = torch.randn(6, 9, 16)
    both = attention.over_clips(x, 3)
    torch.testing.assert_close(both[3:], attention.over_clips(x[3:], 3))
    changed = x.clone()
    changed[0] += 1
    found = attention.over_clips(changed, 3)
    assert (found[:3] - both[:3]).abs().amax((1, 2)).min() > 0.01
    torch.testing.assert_close(found[3:], both[3:])
    changed = x.clone()
    changed[1] += 1  # other frames do not see it
    torch.testing.assert_close(attention.over_clips(changed, 3)[[0, 2]], both[[0, 2]])


@torch.no_grad()
def test_without_adapter_layers_and_pooled_norms_the_first_frame_has_no_effect() -> None:
    """The rest of the network does not read the reference's frame, and is the network without one."""
    unet = replace(TINY.unet, residual_norm="per_frame")
    with_frame = configured(unet=unet)
    for name, parameter in with_frame.named_parameters():
        if "to_out_ff" in name:
            parameter.zero_()
    without = configured(unet=unet, appearance="ip_adapter")
    without.load_state_dict({name: value for name, value in with_frame.state_dict().items() if "_ff" not in name})
    clip = conditions(with_frame)
    torch.testing.assert_close(predicted(with_frame, clip), predicted(without, clip), atol=1e-5, rtol=0)


@pytest.mark.parametrize("appearance", ["adapter", "reference_net", "ip_adapter"])
def test_the_reference_latents_are_read_where_the_appearance_comes_from_them(appearance: str) -> None:
    network = configured(appearance=appearance)
    clip = conditions(network)
    x, expected = noise(), predicted(network, clip)
    assert expected.shape == x.shape
    other = replace(clip, reference_latents_BCHW=-clip.reference_latents_BCHW)
    assert torch.equal(predicted(network, other), expected) == (appearance == "ip_adapter")
    tokens = replace(clip, image_tokens_BLD=-clip.image_tokens_BLD)
    assert (predicted(network, tokens) - expected).abs().max() > 1e-3
    # The unconditional half keeps the reference's details, and has no image tokens of it.
    blank = replace(clip, image_tokens_BLD=clip.blank_tokens_1LD)
    if appearance != "reference_net":
        torch.testing.assert_close(predicted(network, blank), predicted(network, clip, conditional=False))
    assert network.denoiser.transformers[0].block.attn1.__class__ == (
        AdapterAttention if appearance == "adapter" else MultiHeadAttention
    )


@torch.no_grad()
def test_one_text_and_one_image_token_need_no_attention() -> None:
    torch.manual_seed(0)
    block = DynamicsBlock(16, num_heads=2, context_width=12)
    randomise(block)
    x, text, image = torch.randn(6, 9, 16), torch.randn(1, 1, 12), torch.randn(2, 1, 12)
    short = block.image_conditions(text, image)
    assert isinstance(short.context, Tensor)
    whole = block.image_conditions(text.expand(1, 2, 12), image.expand(2, 2, 12))
    for rows in ([0, 1], [1, 0]):
        found, expected = (
            block(x, block_conditions.rows(rows), num_frames=3, num_unconditional=0)[0]
            for block_conditions in (short, whole)
        )
        torch.testing.assert_close(found, expected)


def test_unknown_ablations_are_refused() -> None:
    with pytest.raises(ValueError, match="expected appearance of adapter, reference_net, ip_adapter, got 'none'"):
        XDynaConfig(appearance="none")  # type: ignore[arg-type]  # what it refuses
    with pytest.raises(ValueError, match="expected face_form of patches, landmarks, got 'box'"):
        XDynaConfig(face_form="box")  # type: ignore[arg-type]  # what it refuses


# ControlNets


@pytest.fixture
def animator() -> Animator:
    return new_animator(MODEL, window_batch=1)


def runs(animator: Animator, inputs: AnimationInputs) -> tuple[int, int]:
    """Calls of both ControlNets in an animation."""
    calls = [0, 0]

    def counted(place: int) -> Any:
        def count(*_: Any) -> None:
            calls[place] += 1

        return count

    networks = (animator.network.pose_control, animator.network.face_control)
    hooks = [network.register_forward_hook(counted(place)) for place, network in enumerate(networks)]  # type: ignore[union-attr,operator]
    animator.animate(inputs)
    for hook in hooks:
        hook.remove()
    return calls[0], calls[1]


@pytest.mark.parametrize("window_batch", [1, 3, 8])
def test_control_nets_run_once_per_window_and_step_for_both_halves(window_batch: int) -> None:
    animator = new_animator(MODEL, window_batch=window_batch)
    num_windows, num_steps = 3, 2
    inputs = request(6, guidance_scale=2.0, num_steps=num_steps)
    assert runs(animator, inputs) == (num_windows * num_steps,) * 2
    assert runs(animator, replace(inputs, guidance_scale=1.0)) == (num_windows * num_steps,) * 2


def test_a_control_that_is_off_runs_no_network_and_changes_the_frames(animator: Animator) -> None:
    frames = {}
    for controls in ((True, True), (True, False), (False, True), (False, False)):
        inputs = request(num_steps=1, signals={**request().signals, CONTROLS: np.array(controls)})
        assert runs(animator, inputs) == controls  # one window and one step
        frames[controls] = animator.animate(inputs).frames_THWC
    pairs = [(first, second) for first in frames for second in frames if first < second]
    assert not any(np.array_equal(frames[first], frames[second]) for first, second in pairs)
    # Off is not the same as blank.
    blank = {**request().signals, FACE_CONTROL: np.zeros_like(request().signals[FACE_CONTROL])}
    inputs = request(num_steps=1, signals=blank)
    assert runs(animator, inputs) == (1, 1)
    assert not np.array_equal(animator.animate(inputs).frames_THWC, frames[True, False])


def test_other_latents_at_the_same_step_have_other_residuals() -> None:
    network: Any = new_network(MODEL)
    clip = conditions(network)
    denoise = ClipDenoiser(network, clip)
    with torch.no_grad():
        found = [denoise(noise(seed=seed), 500, [FRAMES], [True]) for seed in (0, 1, 0)]
    for seed, one in zip((0, 1, 0), found, strict=True):
        torch.testing.assert_close(one, predicted(network, clip, noise(seed=seed)), atol=0, rtol=0)


def test_without_face_control_net_the_face_is_not_read() -> None:
    network = configured(face=False)
    signals = {name: value for name, value in request().signals.items() if name != FACE_CONTROL}
    clip = conditions(network, request(signals=signals))
    assert clip.face_BFHWC is None
    assert predicted(network, clip).isfinite().all()


@torch.no_grad()
def test_residuals_are_added_to_the_frames_after_the_reference() -> None:
    x = torch.randn(6, 5, 2, 2)
    maps = [torch.randn(1, 2, 5, 2, 2), torch.randn(3, 3, 5, 2, 2)]
    shared = ControlResiduals(maps=maps).added(0, x, 3).unflatten(0, (2, 3))
    torch.testing.assert_close(shared[:, 1:], x.unflatten(0, (2, 3))[:, 1:] + maps[0])
    torch.testing.assert_close(shared[:, 0], x[::3])
    rows = ControlResiduals(maps=maps, rows=(2, 0)).added(1, x, 3)
    torch.testing.assert_close(rows, x + maps[1][[2, 0]].flatten(0, 1))


@given(
    pictures=arrays.arrays(np.uint8, (2, 2, 4, 3, 6), elements=st.integers(0, 255)), blank=st.sampled_from([None, 0, 1])
)
def test_control_pictures_are_stretched_per_clip_and_kind(pictures: np.ndarray, blank: int | None) -> None:
    if blank is not None:
        pictures[1, ..., 3 * blank : 3 * blank + 3] = 7
    images = ControlPictures(pictures).images([1, 0], device=CPU, dtype=torch.float32)
    assert images.shape == (2, 2, 6, 4, 3)
    for clip in range(2):
        for kind in range(2):
            part = pictures[clip, ..., 3 * kind : 3 * kind + 3].astype(np.float64)
            low, high = part.min(), part.max()
            expected = (part - low) / (high - low) if high > low else 0 * part
            found = images[clip, :, 3 * kind : 3 * kind + 3].permute(0, 2, 3, 1)
            np.testing.assert_allclose(found.numpy(), expected[[1, 0]], atol=1e-6)
