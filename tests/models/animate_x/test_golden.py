"""Parity with the public code of Animate-X and UniAnimate, from checkpoints in their published layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden import GoldenCase, golden_case
from golden_animate_x import conditions_of, config_of, inputs_of
from torch import Tensor

from models.animate_x.config import ReferenceForm
from models.animate_x.denoiser import ClipDenoiser, first_latents
from models.animate_x.network import AnimateX
from models.animate_x.weights import load_published
from models.sampling.denoise import sample
from models.sampling.schedule import NoiseSchedule
from models.sampling.windows import windows

FORWARD, LOOP = 1e-4, 5e-4  # as the evidence suggests, for values of order 1


def close(case: GoldenCase, name: str, actual: Tensor, limit: float) -> None:
    expected = case.outputs()[name]
    torch.testing.assert_close(case.stored(name, actual), expected, atol=limit, rtol=0, msg=lambda m: f"{name}: {m}")


def with_reference(network: AnimateX, reference: ReferenceForm) -> AnimateX:
    """The same network with another `reference`."""
    network.config = replace(network.config, reference=reference)
    return network


def check_forward_passes(case: GoldenCase, network: AnimateX) -> None:
    inputs = inputs_of(case)
    calls = [call["name"] for call in case.description["calls"]]
    frames = [list(range(inputs["latents"].shape[2]))]
    t = next(call["params"]["timestep"] for call in case.description["calls"] if "timestep" in call.get("params", {}))
    if "image_tokens" in calls:
        tokens = network.image_tokens(inputs["image_embed"][:, 0])
        close(case, "image_tokens.out", tokens.reshape(1, network.config.num_image_tokens, -1), FORWARD)
    if network.indicator is not None and "ipi" in calls:
        keypoints, features = inputs["keypoints"].flatten(2), inputs["driving_clip_embeds"].transpose(0, 1)
        close(case, "ipi.keypoint_tokens", network.indicator.keypoints(keypoints)[0], FORWARD)
        close(case, "ipi.pose_tokens", network.indicator(keypoints, features)[0], FORWARD)
        unconditional = network.indicator(torch.zeros_like(keypoints), torch.zeros_like(features))
        close(case, "ipi.uncond_pose_tokens", unconditional[0], FORWARD)
    unet_inputs: list[Tensor] = []
    hook = network.denoiser.conv_in.register_forward_pre_hook(lambda _, args: unet_inputs.append(args[0]))
    forms: dict[str, ReferenceForm] = {"forward_local_image": "picture", "forward_randomref": "first_frame"}
    for call, reference in forms.items():
        if call in calls:
            denoise = ClipDenoiser(with_reference(network, reference), conditions_of(inputs))
            both = denoise(inputs["latents"].expand(2, -1, -1, -1, -1), t, frames * 2, [True, False])
            close(case, f"{call}.out", both[:1], FORWARD)
            if f"{call}.unet_input" in case.outputs():
                close(case, f"{call}.unet_input", unet_inputs[-1][: len(frames[0]) + 1], FORWARD)
            if "uncond" in calls:
                close(case, "uncond.out", both[1:], FORWARD)
    hook.remove()


def run_loop(case: GoldenCase, network: AnimateX, call: str) -> Tensor:
    inputs, params = inputs_of(case), case.parameters(call)
    suffix = "_long" if call == "long" else ""
    config = network.config
    plan = [list(range(inputs["latents"].shape[2]))]
    if suffix:
        size, overlap = params["context_size"], params["context_overlap"]
        plan = windows(params["video_length"], replace(config.windows, size=size, overlap=overlap))
        assert plan == params["windows"]
    schedule = NoiseSchedule(config.schedule)
    assert schedule.timesteps(params["ddim_timesteps"]) == params["timesteps"]
    if config.noise_prior is None:
        assert params["noise_prior"] is None
    else:
        assert params["noise_prior"] == (config.noise_prior.windows if suffix else config.noise_prior.one_window)
    return sample(
        ClipDenoiser(network, conditions_of(inputs, suffix)),
        first_latents(
            inputs[f"noise{suffix}"][0],
            inputs[f"offset_noise{suffix}"][0],
            inputs[f"ref_latents{suffix}"][0, :, 0],
            config,
            num_windows=len(plan),
        ),
        schedule=schedule,
        num_steps=params["ddim_timesteps"],
        guidance_scale=params["guide_scale"],
        windows=plan,
    )[None]


@torch.no_grad()
def check_all(case: GoldenCase, folder: Path) -> None:
    case.write_checkpoints(folder)
    (file,) = case.description["checkpoints"]
    config = config_of(case)
    network = load_published(folder / file["file"], config)
    (folder / file["file"]).unlink()  # gigabytes, which pytest would keep
    check_forward_passes(case, network)
    with_reference(network, config.reference)
    for call in case.description["calls"]:
        name = call["name"]
        if f"{name}.latents" in case.outputs():
            close(case, f"{name}.latents", run_loop(case, network, name), LOOP)


@pytest.mark.parametrize("name", ["unianimate_tiny", "animate_x_tiny"])
def test_small_networks_compute_the_published_numbers(name: str, tmp_path: Path) -> None:
    check_all(golden_case(name), tmp_path)


@pytest.mark.full_size
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["unianimate_full", "animate_x_full", "animate_x_full_res"])
def test_networks_of_the_released_size_compute_the_published_numbers(name: str, tmp_path: Path) -> None:
    check_all(golden_case(name), tmp_path)
