"""The VAE inside a checkpoint of the latent-diffusion code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from stand_in_networks import randomise
from torch import Tensor

from models.appearance.vae import Vae, VaeConfig, published_ldm_vae
from models.common.digest import CheckpointError

TINY = VaeConfig(widths=(8, 8, 16, 16), layers_per_block=1, norm_groups=4)
LEVELS = len(TINY.widths)


def published_name(name: str) -> str:
    """A name of diffusers as the latent-diffusion code has it; its levels of the decoder count from the top."""
    for pattern, replacement in (
        (r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2"),
        (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d)\.resnets\.(\d)", lambda found: f"up.{LEVELS - 1 - int(found[1])}.block.{found[2]}"),
        (r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"up.{LEVELS - 1 - int(found[1])}.upsample"),
        (r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}"),
        (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
        (r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1"),
        (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
        (r"conv_norm_out", "norm_out"),
        (r"conv_shortcut", "nin_shortcut"),
    ):
        name = re.sub(pattern, replacement, name)
    return f"first_stage_model.{name}"


def write(vae: Vae, path: Path, **changes: Tensor | None) -> Path:
    tensors: dict[str, Tensor | None] = {
        published_name(name): tensor[..., None, None] if ".to_" in name and tensor.ndim == 2 else tensor
        for name, tensor in vae.network.state_dict().items()
    }
    tensors |= {"model.diffusion_model.out.2.bias": torch.zeros(4), **changes}
    torch.save({"state_dict": {name: tensor for name, tensor in tensors.items() if tensor is not None}}, path)
    return path


@pytest.fixture
def vae() -> Vae:
    made = Vae(TINY).eval()
    randomise(made.network)
    return made


@torch.no_grad()
def test_pictures_come_to_the_same_latents_and_back(vae: Vae, tmp_path: Path) -> None:
    found = published_ldm_vae(write(vae, tmp_path / "v2-1_512-ema-pruned.ckpt"), TINY)
    pictures = torch.rand(1, 3, 16, 24) * 2 - 1
    latents = vae.encode(pictures)
    torch.testing.assert_close(found.encode(pictures), latents)
    torch.testing.assert_close(found.decode(latents), vae.decode(latents))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"first_stage_model.encoder.down.0.block.0.norm1.bias": None}, "1 missing"),
        ({"first_stage_model.encoder.down.1.downsample.conv.bias": None}, "1 missing"),
        ({"first_stage_model.decoder.conv_in.bias": torch.zeros(3)}, "1 misshapen"),
        ({"first_stage_model.decoder.up.1.block.7.norm1.bias": torch.zeros(3)}, "1 unexpected"),
        ({"first_stage_model.another.weight": torch.zeros(3)}, r"has \d+ tensors, expected \d+"),
    ],
)
def test_a_vae_that_is_not_whole_is_refused(
    vae: Vae, tmp_path: Path, changes: dict[str, Tensor | None], words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        published_ldm_vae(write(vae, tmp_path / "v2-1_512-ema-pruned.ckpt", **changes), TINY)


def test_a_checkpoint_without_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    torch.save({"state_dict": {"model.diffusion_model.out.2.bias": torch.zeros(4)}}, path)
    with pytest.raises(CheckpointError, match=r"missing|no whole VAE"):
        published_ldm_vae(path, TINY)
