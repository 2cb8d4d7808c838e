"""Parity with the public code of X-Dyna, from checkpoints in their published layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from golden import GoldenCase, golden_case
from golden_x_dyna import conditions_of, config_of, resampler_of, write_published
from torch import Tensor

from models.appearance.ip_adapter import Resampler
from models.common.unet.control import ControlResiduals
from models.sampling.denoise import Windows, sample
from models.sampling.schedule import NoiseSchedule
from models.sampling.windows import windows
from models.x_dyna.conditions import ClipConditions, ControlPictures
from models.x_dyna.denoiser import ClipDenoiser
from models.x_dyna.network import XDyna
from models.x_dyna.sampling import first_latents
from models.x_dyna.weights import load_published

FORWARD, LOOP = 1e-4, 5e-4  # as the evidence suggests

pytestmark = pytest.mark.usefixtures("one_thread")


def close(case: GoldenCase, name: str, actual: Tensor, limit: float) -> None:
    expected = case.outputs()[name]
    torch.testing.assert_close(case.stored(name, actual), expected, atol=limit, rtol=0, msg=lambda m: f"{name}: {m}")


def check_control_nets(case: GoldenCase, network: XDyna, inputs: dict[str, Tensor]) -> None:
    sample_BCFHW, text = inputs["latents"][:, :, 1:4], inputs["text_embeds"][1:]
    face = torch.cat([inputs["face_local_images"], inputs["face_global_images"]], 1)[None, :3]
    for call, images in (
        ("controlnet_pose", (inputs["pose_images"][None, :3], None)),
        ("controlnet_face", (None, face)),
    ):
        t_B = torch.tensor([case.parameters(call)["timestep"]])
        maps = network.control_residuals(sample_BCFHW, t_B, text, images)
        assert len(maps) == 13
        for name in case.outputs():
            if name.startswith(f"{call}."):
                place = -1 if name.endswith("mid") else int(name.rpartition(".")[2])
                close(case, name, maps[place][0], FORWARD)


def check_denoiser(case: GoldenCase, network: XDyna, inputs: dict[str, Tensor], tokens: Sequence[Tensor]) -> None:
    """Both halves of guidance; the published text tokens differ between them."""
    conditions = network.denoiser.image_conditions(inputs["text_embeds"], torch.cat(list(tokens)))
    pose = inputs["pose_images"][None]
    face = torch.cat([inputs["face_local_images"], inputs["face_global_images"]], 1)[None]
    moving = inputs["latents"][:, :, 1:]
    for call in ("unet_plain", "unet_controlled"):
        t_B = torch.tensor([case.parameters(call)["timestep"]])
        control = None
        if call == "unet_controlled":
            halves = [
                network.control_residuals(moving, t_B, text[None], (pose, face)) for text in inputs["text_embeds"]
            ]
            control = ControlResiduals(maps=[torch.cat(maps) for maps in zip(*halves, strict=True)])
        both = network.denoiser(inputs["latents"].expand(2, -1, -1, -1, -1), t_B.expand(2), conditions, control)
        close(case, f"{call}.uncond", both[:1], FORWARD)
        close(case, f"{call}.cond", both[1:], FORWARD)


class GoldenDenoiser:
    """A denoiser whose halves of guidance have different text tokens, as in the published runs. Those of requests have
    the same, and share the residuals of ControlNets (`ClipDenoiser`).
    """

    def __init__(self, network: XDyna, clip: ClipConditions, text_embeds_2LD: Tensor) -> None:
        assert clip.face_BFHWC is not None
        self.network, self.clip, self.text = network, clip, text_embeds_2LD
        self.tokens = torch.cat([clip.blank_tokens_1LD, clip.image_tokens_BLD])
        self.pictures = ControlPictures(clip.poses_BFHWC), ControlPictures(clip.face_BFHWC)

    def __call__(self, x_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        rows = [int(row) for row in conditional]
        t_B = torch.full((len(rows),), t)
        halves = [
            self.network.control_residuals(
                x_BCFHW[[place]],
                t_B[:1],
                self.text[[row]],
                self.network.control_images(*self.pictures, windows[place], (True, True), x_BCFHW),
            )
            for place, row in enumerate(rows)
        ]
        return self.network.predict(
            x_BCFHW,
            t_B,
            self.clip.reference_latents_BCHW,
            self.network.denoiser.image_conditions(self.text[rows], self.tokens[rows]),
            ControlResiduals(maps=[torch.cat(maps) for maps in zip(*halves, strict=True)]),
        )


@torch.no_grad()
def check_denoiser_of_requests(case: GoldenCase, network: XDyna, resampler: Resampler) -> None:
    """With one text for both halves, the denoiser of requests computes the same as that of the published runs."""
    inputs = case.inputs()
    clip = conditions_of(inputs, resampler, "sample_windows")
    rows = [list(range(3, 19)), list(range(3, 19)), [*range(15, 21), *range(10)]]
    x = inputs["latents"][:, :, 1:].repeat(3, 1, 1, 1, 1)
    x[2] *= 0.5
    ours = ClipDenoiser(network, clip)(x, 521, rows, (False, True, True))
    theirs = GoldenDenoiser(network, clip, inputs["text_embeds"][[1, 1]])(x, 521, rows, (False, True, True))
    torch.testing.assert_close(ours, theirs, atol=FORWARD, rtol=0)


def run_loop(case: GoldenCase, network: XDyna, resampler: Resampler, call: str) -> Tensor:
    inputs, params = case.inputs(), case.parameters(call)
    config, clip = network.config, conditions_of(inputs, resampler, call)
    schedule, num_frames = NoiseSchedule(config.schedule), params["video_length"]
    num_steps = params["num_inference_steps"]
    assert schedule.timesteps(num_steps) == params["timesteps"]
    plan = [windows(num_frames, config.windows, offset=offset) for offset in params["offsets"]]
    assert plan == params["windows"]
    first = first_latents(
        inputs[f"{call}.noise"][0, :, 1:],
        inputs[f"{call}.mask_uniform"][0, :, 1:] < 0.5,
        clip.reference_latents_BCHW[0],
        schedule,
        t=params["timesteps"][0],
    )
    return sample(
        GoldenDenoiser(network, clip, inputs["text_embeds"]),
        first,
        schedule=schedule,
        num_steps=num_steps,
        guidance_scale=params["guidance_scale"],
        windows=plan.__getitem__,
    )[None]


@torch.no_grad()
def check_all(case: GoldenCase, folder: Path) -> None:
    write_published(case, folder)
    resampler = resampler_of(case, folder)
    network = load_published(folder, config_of(case))
    for file in folder.rglob("*.*"):
        file.unlink()  # gigabytes, which pytest would keep
    inputs = case.inputs()
    names = ("clip_hidden_states_of_zero_image", "clip_hidden_states")
    tokens = [resampler(inputs[name]) for name in names]
    close(case, "resampler.uncond_tokens", tokens[0], FORWARD)
    close(case, "resampler.tokens", tokens[1], FORWARD)
    check_control_nets(case, network, inputs)
    check_denoiser(case, network, inputs, tokens)
    if "sample_windows.latents" in case.outputs():
        check_denoiser_of_requests(case, network, resampler)
    for call in case.description["calls"]:
        name = call["name"]
        if f"{name}.latents" in case.outputs():
            close(case, f"{name}.latents", run_loop(case, network, resampler, name), LOOP)


def test_small_networks_compute_the_published_numbers(tmp_path: Path) -> None:
    check_all(golden_case("x_dyna_tiny"), tmp_path)


@pytest.mark.full_size
@pytest.mark.timeout(3600)
def test_networks_of_the_released_size_compute_the_published_numbers(tmp_path: Path) -> None:
    check_all(golden_case("x_dyna_full"), tmp_path)
