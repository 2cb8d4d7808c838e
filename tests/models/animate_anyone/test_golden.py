"""Parity with the public code of Moore-AnimateAnyone and MusePose, from checkpoints in their published layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden import GoldenCase, drawings, golden_case
from torch import Tensor

from models.animate_anyone.denoiser import ClipDenoiser
from models.animate_anyone.network import AnimateAnyone, ClipConditions, ReferenceConditions
from models.animate_anyone.weights import load_published
from models.sampling.denoise import Windows, sample
from models.sampling.schedule import NoiseSchedule
from models.sampling.windows import windows

FORWARD, LOOP = 1e-4, 5e-4  # as the evidence suggests, for values of order 1


def conditions_of(inputs: dict[str, Tensor], suffix: str = "") -> ClipConditions:
    """The clip of a case."""
    poses = inputs["pose_long" if suffix else "pose_images"]
    return ClipConditions(
        image_tokens_BLD=inputs["image_embeds"][:, None],
        reference_latents_BCHW=inputs[f"ref_latents{suffix}"],
        poses_BFHWC=drawings(poses.transpose(1, 2)),
    )


def check_forward_passes(case: GoldenCase, network: AnimateAnyone) -> None:
    inputs, expected = case.inputs(), case.outputs()
    clip, t = conditions_of(inputs), torch.tensor([500])
    latents = inputs["latents"]
    pose = network.pose_features(clip, range(latents.shape[2]), [True])
    close(case, "pose_guider.out", pose, expected, FORWARD)

    features = network.reference_net(clip.reference_latents_BCHW, clip.image_tokens_BLD)
    for name, index in (
        ("down_blocks.0.attentions.0", 0),
        ("mid_block.attentions.0", 6),
        ("up_blocks.3.attentions.2", 15),
    ):
        close(case, f"reference_unet.{name}", features[index], expected, FORWARD)

    tokens_only = ReferenceConditions(blocks=network.denoiser.conditions(clip.image_tokens_BLD))
    close(case, "denoise_plain.out", network.denoiser(latents, t, tokens_only), expected, FORWARD)
    close(case, "denoise_pose.out", network.denoiser(latents, t, tokens_only, pose), expected, FORWARD)

    both = network.denoiser(
        latents.repeat(2, 1, 1, 1, 1),
        t.repeat(2),
        network.reference_conditions(clip),
        pose.repeat(2, 1, 1, 1, 1),
        num_unconditional=1,
    )
    close(case, "denoise_cfg.uncond", both[:1], expected, FORWARD)
    close(case, "denoise_cfg.cond", both[1:], expected, FORWARD)


def run_loop(case: GoldenCase, network: AnimateAnyone, call: str, suffix: str = "") -> Tensor:
    inputs, params = case.inputs(), case.parameters(call)
    config = network.config
    latents = inputs[f"latents{suffix}"][0]
    plan: Windows = params.get("windows") or [list(range(latents.shape[1]))]
    if "windows" in params:
        layout = replace(
            config.windows,
            size=params["context_frames"],
            overlap=params["context_overlap"],
            layout="closed_loop" if params["closed_loop"] else "open_loop",
        )
        assert windows(params["video_length"], layout) == plan
    return sample(
        ClipDenoiser(network, conditions_of(inputs, suffix)),
        latents,
        schedule=NoiseSchedule(replace(config.schedule, betas=params["beta_schedule"])),
        num_steps=params["num_inference_steps"],
        guidance_scale=params["guidance_scale"],
        windows=plan,
    )[None]


def close(case: GoldenCase, name: str, actual: Tensor, expected: dict[str, Tensor], limit: float) -> None:
    torch.testing.assert_close(
        case.stored(name, actual), expected[name], atol=limit, rtol=0, msg=lambda m: f"{name}: {m}"
    )


def check_all(case: GoldenCase, folder: Path) -> None:
    case.write_checkpoints(folder)
    network = load_published(folder, case.config())
    expected = case.outputs()
    with torch.no_grad():
        check_forward_passes(case, network)
        for call in case.description["calls"]:
            name = call["name"]
            if f"{name}.latents" in expected:
                actual = run_loop(case, network, name, "_long" if name == "long" else "")
                close(case, f"{name}.latents", actual, expected, LOOP)


@pytest.mark.parametrize("name", ["moore_tiny", "musepose_tiny"])
def test_small_networks_compute_the_published_numbers(name: str, tmp_path: Path) -> None:
    check_all(golden_case(name), tmp_path)


@pytest.mark.full_size
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["moore_full", "musepose_full"])
def test_networks_of_the_released_size_compute_the_published_numbers(name: str, tmp_path: Path) -> None:
    check_all(golden_case(name), tmp_path)
