"""Animate Anyone and Animate Anyone 2 at the start of training, from small base models in their published forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from golden import golden_case
from golden_weights import write_checkpoint
from safetensors.torch import save_file
from torch import Tensor

from models.animate_anyone.config import AnimateAnyoneConfig
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.common.checkpoint import read_tensors
from models.common.digest import CheckpointError
from models.common.unet.motion_keys import renamed_motion_keys
from models.common.unet.unet import is_temporal
from models.systems import find_model
from models.weights.base import ANIMATE_ANYONE_BASE

pytestmark = pytest.mark.usefixtures("one_thread")

UNET, MOTION, CONTROL = (weights.name for weights in ANIMATE_ANYONE_BASE)
SMALL = golden_case("moore_tiny").config()
TWO = AnimateAnyone2Config(unet=SMALL.unet, temporal=SMALL.temporal)


def same(tensors: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    return tensors.keys() == others.keys() and all(torch.equal(tensors[name], others[name]) for name in tensors)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, case = tmp_path_factory.mktemp("weights"), golden_case("moore_tiny")
    shape: dict[str, Any] = {
        "block_out_channels": SMALL.unet.widths,
        "attention_head_dim": SMALL.unet.num_heads,
        "cross_attention_dim": SMALL.unet.context_width,
    }
    torch.manual_seed(0)
    unet, control = UNet2DConditionModel(**shape), ControlNetModel(**shape)  # type: ignore[no-untyped-call]
    motion = next(one for one in case.description["checkpoints"] if one["file"] == "motion_module.pth")
    paths = {weights.name: folder / Path(weights.files[0].name).name for weights in ANIMATE_ANYONE_BASE}
    paths[CONTROL] = folder / "control.safetensors"
    torch.save(unet.state_dict(), paths[UNET])
    write_checkpoint(paths[MOTION], case.state_dict(motion), "plain")
    save_file(control.state_dict(), paths[CONTROL])
    return paths


def start(name: str, files: dict[str, Path], config: Any) -> Any:
    return find_model(name).system.implementation().load_base(files, config)


def test_every_part_has_its_stated_beginning(files: dict[str, Path]) -> None:
    network = start("animate-anyone", files, SMALL)
    unet = read_tensors(files[UNET])
    denoiser = network.denoiser.state_dict()
    assert same({name: tensor for name, tensor in denoiser.items() if not is_temporal(name)}, unet)
    motion = renamed_motion_keys(read_tensors(files[MOTION]), files[MOTION])
    assert same({name: tensor for name, tensor in denoiser.items() if is_temporal(name)}, motion)
    reference = {name: tensor for name, tensor in unet.items() if not name.startswith(("conv_norm_out.", "conv_out."))}
    assert same(network.reference_net.state_dict(), reference)
    control, guider = read_tensors(files[CONTROL]), network.pose_guider.state_dict()
    for name, tensor in guider.items():
        theirs = control[f"controlnet_cond_embedding.{name}"]
        assert not tensor.any() if name.startswith("conv_out.") else torch.equal(tensor, theirs)
    assert len(guider) == 16


def test_the_pose_guider_of_the_paper_is_its_own(files: dict[str, Path]) -> None:
    config: AnimateAnyoneConfig = replace(SMALL, pose_guider="paper")
    assert start("animate-anyone", files, config).pose_guider.blocks[0].weight.any()


def test_what_animate_anyone_2_adds_begins_as_without_base_models(files: dict[str, Path]) -> None:
    network = start("animate-anyone-2", files, TWO)
    unet = read_tensors(files[UNET])
    first = network.denoiser.conv_in.weight
    assert torch.equal(first[:, :4], unet.pop("conv_in.weight"))
    assert first.shape[1] == 4 + TWO.concat_channels
    assert not first[:, 4:].any()
    denoiser = network.denoiser.state_dict()
    assert all(torch.equal(denoiser[name], tensor) for name, tensor in unet.items())
    assert denoiser.keys() - unet.keys() - {"conv_in.weight"} > {name for name in denoiser if is_temporal(name)}


@pytest.mark.parametrize(
    ("name", "words", "change"),
    [
        (UNET, r"1 missing \(conv_in.bias", lambda t: t.pop("conv_in.bias")),
        (UNET, r"1 missing \(conv_out.bias", lambda t: t.pop("conv_out.bias")),
        (UNET, r"1 unexpected \(other", lambda t: t.update(other=torch.zeros(1))),
        (
            UNET,
            r"1 misshapen \(conv_in.weight \(32, 9, 3, 3\)",
            lambda t: t.update({"conv_in.weight": torch.zeros(32, 9, 3, 3)}),
        ),
        (MOTION, r"1 unexpected \(other", lambda t: t.update(other=torch.zeros(1))),
        (CONTROL, r"1 missing \(blocks.0.bias", lambda t: t.pop("controlnet_cond_embedding.blocks.0.bias")),
    ],
)
def test_files_that_are_not_whole_are_refused(
    files: dict[str, Path], tmp_path: Path, name: str, words: str, change: Callable[[dict[str, Tensor]], object]
) -> None:
    tensors = read_tensors(files[name])
    change(tensors)
    changed = tmp_path / files[name].name
    if changed.suffix == ".safetensors":
        save_file(tensors, changed)
    else:
        torch.save(tensors, changed)
    with pytest.raises(CheckpointError, match=rf"{changed.name}.*{words}"):
        start(
            "animate-anyone-2", {**files, name: changed}, AnimateAnyone2Config(unet=SMALL.unet, temporal=SMALL.temporal)
        )
