"""The numbers of Moore-AnimateAnyone and MusePose, from files in their published layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden import GoldenCase, golden_case
from torch import Tensor

from models.animate_anyone.network import AnimateAnyone, Conditions
from models.animate_anyone.weights import load_published
from models.sampling.denoise import Windows, sample
from models.sampling.schedule import NoiseSchedule
from models.sampling.windows import windows

FORWARD, LOOP = 1e-4, 5e-4  # as the evidence suggests, for values of order 1


def check_forward_passes(case: GoldenCase, network: AnimateAnyone) -> None:
    given, expected = case.inputs(), case.outputs()
    token, t = given["image_embeds"][:, None], torch.tensor([500])
    pose = network.pose_features(given["pose_images"].transpose(1, 2))
    close(case, "pose_guider.out", pose, expected, FORWARD)

    features = network.reference_net(given["ref_latents"], token)
    for name, index in (
        ("down_blocks.0.attentions.0", 0),
        ("mid_block.attentions.0", 6),
        ("up_blocks.3.attentions.2", 15),
    ):
        close(case, f"reference_unet.{name}", features[index], expected, FORWARD)

    alone = Conditions(blocks=network.denoiser.conditions(token))
    close(case, "denoise_plain.out", network.denoiser(given["latents"], t, alone), expected, FORWARD)
    close(case, "denoise_pose.out", network.denoiser(given["latents"], t, alone, pose), expected, FORWARD)

    conditions = network.conditions(token, given["ref_latents"])
    both = network.denoiser(
        given["latents"].repeat(2, 1, 1, 1, 1), t.repeat(2), conditions, pose.repeat(2, 1, 1, 1, 1), num_plain=1
    )
    close(case, "denoise_cfg.uncond", both[:1], expected, FORWARD)
    close(case, "denoise_cfg.cond", both[1:], expected, FORWARD)


def run_loop(case: GoldenCase, network: AnimateAnyone, call: str, suffix: str = "") -> Tensor:
    given, asked = case.inputs(), case.parameters(call)
    config = network.config
    pose = network.pose_features(given["pose_long" if suffix else "pose_images"].transpose(1, 2))[0]
    conditions = network.conditions(given["image_embeds"][:, None], given[f"ref_latents{suffix}"])
    latents = given[f"latents{suffix}"][0]
    plan: Windows = asked.get("windows") or [list(range(latents.shape[1]))]
    if "windows" in asked:
        layout = replace(
            config.windows,
            size=asked["context_frames"],
            overlap=asked["context_overlap"],
            layout="closed_loop" if asked["closed_loop"] else "open_loop",
        )
        assert windows(asked["video_length"], layout) == plan

    def denoise(latents_BCFHW: Tensor, t: int, rows: Windows, conditional: Sequence[bool]) -> Tensor:
        assert list(conditional) == [False, True]
        features = torch.stack([pose[:, list(row)] for row in rows])
        return network.denoiser(latents_BCFHW, torch.tensor([t, t]), conditions, features, num_plain=1)

    return sample(
        denoise,
        latents,
        schedule=NoiseSchedule(replace(config.schedule, betas=asked["beta_schedule"])),
        num_steps=asked["num_inference_steps"],
        guidance_scale=asked["guidance_scale"],
        windows=plan,
    )[None]


def close(case: GoldenCase, name: str, found: Tensor, expected: dict[str, Tensor], limit: float) -> None:
    torch.testing.assert_close(
        case.stored(name, found), expected[name], atol=limit, rtol=0, msg=lambda m: f"{name}: {m}"
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
                found = run_loop(case, network, name, "_long" if name == "long" else "")
                close(case, f"{name}.latents", found, expected, LOOP)


@pytest.mark.parametrize("name", ["moore_tiny", "musepose_tiny"])
def test_small_networks_compute_the_published_numbers(name: str, tmp_path: Path) -> None:
    check_all(golden_case(name), tmp_path)


@pytest.mark.full_size
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["moore_full", "musepose_full"])
def test_networks_of_the_released_size_compute_the_published_numbers(name: str, tmp_path: Path) -> None:
    check_all(golden_case(name), tmp_path)
