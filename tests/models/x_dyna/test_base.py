"""The start of training from public base models, in their published forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from stand_in_x_dyna import save_base, save_published, small_config
from torch import Tensor

from models.common.digest import CheckpointError
from models.common.unet.unet import is_temporal
from models.x_dyna.base import load_base
from models.x_dyna.config import XDynaConfig
from models.x_dyna.implementation import XDynaImplementation
from models.x_dyna.network import XDyna
from models.x_dyna.weights import load_published

pytestmark = pytest.mark.usefixtures("one_thread")

OUTPUTS = ("controlnet_down_blocks.", "controlnet_mid_block.", "controlnet_cond_embedding.conv_out.")
CONV_IN = "conv_in.weight"
MOTION = "down_blocks.0.motion_modules.0.temporal_transformer."


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_base(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> XDyna:
    """The network whose tensors the base models have."""
    return load_published(save_published(tmp_path_factory.mktemp("published")), small_config())


def test_every_tensor_has_its_stated_beginning(base: dict[str, Path], published: XDyna) -> None:
    start, theirs = load_base(base, small_config()).state_dict(), published.state_dict()
    assert start.keys() == theirs.keys()
    implementation = XDynaImplementation()
    random = set()
    for name, tensor in start.items():
        part, _, inner = name.partition(".")
        if "to_q_ff." in name:
            expected = start[name.replace("to_q_ff", "to_q")]
        elif "to_out_ff." in name or (part == "face_control" and inner.startswith(OUTPUTS)):
            expected = torch.zeros_like(tensor)
        elif part == "face_control" and inner.startswith("controlnet_cond_embedding."):
            random.add(name)
            continue
        elif part == "face_control":
            expected = theirs[f"denoiser.{inner}"]
        else:
            expected = theirs[name]
        assert torch.equal(tensor, expected), name
    # What is random is trained.
    assert random
    assert all(implementation.trains(published, name, 2) for name in random)


def test_networks_of_ablations_have_a_start_too(base: dict[str, Path], published: XDyna) -> None:
    config = replace(small_config(), appearance="reference_net", face=False)
    start = load_base(base, config)
    assert start.face_control is None
    assert start.reference_net is not None
    assert not any("_ff." in name for name in start.state_dict())
    theirs = published.denoiser.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in start.reference_net.state_dict().items())


def test_the_denoiser_holds_all_keys_of_the_released_base_models() -> None:
    with torch.device("meta"):
        ours = XDyna(XDynaConfig()).denoiser
        theirs = UNet2DConditionModel(attention_head_dim=8, cross_attention_dim=768)
    plain = {
        name: tensor.shape
        for name, tensor in ours.state_dict().items()
        if not (is_temporal(name) or "_ff." in name or "_ip." in name)
    }
    assert plain == {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    assert len(plain) == 686
    assert sum("_ip." in name for name in ours.state_dict()) == 32
    assert sum(map(is_temporal, ours.state_dict())) == 560 - 40  # two tables of positions in each of 20 modules


@pytest.mark.parametrize(
    ("name", "words", "change"),
    [
        ("sd-1.5-unet", r"1 missing \(conv_in.weight", lambda t: t.pop(CONV_IN)),
        ("sd-1.5-unet", r"1 unexpected \(class_embedding", lambda t: t.update({"class_embedding": torch.zeros(1)})),
        ("sd-1.5-unet", r"1 misshapen \(conv_in.weight", lambda t: t.update({CONV_IN: torch.zeros(32, 9, 3, 3)})),
        ("animatediff-v1", r"1 missing \(down_blocks.0.motion", lambda t: t.pop(f"{MOTION}proj_out.bias")),
        (
            "animatediff-v1",
            r"1 unexpected \(mid_block.motion",  # AnimateDiff v2
            lambda t: t.update({"mid_block.motion_modules.0.temporal_transformer.norm.bias": torch.zeros(64)}),
        ),
        ("animatediff-v1", r"1 unexpected \(conv_in", lambda t: t.update({CONV_IN: torch.zeros(1)})),
        ("ip-adapter-plus", r"1 missing \(mid_block", lambda t: t.pop("ip_adapter.31.to_k_ip.weight")),
        (
            "ip-adapter-plus",
            "ip_adapter.33.to_k_ip.weight belongs to no cross-attention",
            lambda t: t.update({"ip_adapter.33.to_k_ip.weight": torch.zeros(1)}),
        ),
        ("controlnet-openpose", r"1 missing \(controlnet_mid", lambda t: t.pop("controlnet_mid_block.weight")),
    ],
)
def test_files_that_are_not_whole_are_refused(
    base: dict[str, Path], tmp_path: Path, name: str, words: str, change: Callable[[dict[str, Tensor]], object]
) -> None:
    changed = tmp_path / base[name].name
    if changed.suffix == ".ckpt":
        tensors = torch.load(base[name], weights_only=True)
        change(tensors)
        torch.save(tensors, changed)
    else:
        tensors = load_file(base[name])
        change(tensors)
        save_file(tensors, changed)
    with pytest.raises(CheckpointError, match=rf"{changed.name}.*{words}"):
        load_base({**base, name: changed}, small_config())
