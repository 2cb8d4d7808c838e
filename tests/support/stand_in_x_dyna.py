"""A folder of weights for X-Dyna in their published forms: the published model, its encoders, and the base models that
training begins from. Networks are of the size of the parity case, but read the resampler's published width.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from golden import GOLDEN
from golden_weights import read_shapes, state_dict, write_checkpoint
from safetensors.torch import save_file
from stand_in_features import save_image_encoder, save_text_encoder, save_vae
from torch import Tensor

from models.animation.system import Model
from models.appearance.ip_adapter import Resampler, ResamplerConfig
from models.catalogue import CATALOGUE
from models.systems import find_model
from models.weights.resolve import place
from models.x_dyna.config import FACE_FILE, POSE_FILE, UNET_FILE, XDynaConfig

_CASE = GOLDEN / "x_dyna_tiny"
_CASE_CONTEXT_WIDTH = 48
_SEEDS = {UNET_FILE: 1, POSE_FILE: 2, FACE_FILE: 3}


def small_config() -> XDynaConfig:
    """The configuration of the networks."""
    base = XDynaConfig()
    return replace(base, unet=replace(base.unet, widths=(32, 64, 64, 64)), num_steps=2)


def small_model() -> Model:
    """The registered model at the size of the files, which have none of the published digests."""
    model = find_model("x-dyna")
    files = {weights: tuple(replace(file, sha256=None) for file in weights.files) for weights in model.variant.base}
    base = tuple(replace(weights, files=files[weights]) for weights in files)
    return replace(model, variant=replace(model.variant, config=small_config(), base=base))


def first_file(name: str, folder: Path) -> Path:
    """Place of the first file of a catalogue entry in a folder of weights, whose folder then exists."""
    path = place(CATALOGUE[name], CATALOGUE[name].files[0], folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@cache
def tensors_of(file: str) -> dict[str, Tensor]:
    """Tensors of a published file of X-Dyna, under their published names."""
    shapes = read_shapes(_CASE / f"{Path(file).stem}.spec.json")
    context = ResamplerConfig().context_width
    widened = {name: [context if n == _CASE_CONTEXT_WIDTH else n for n in shape] for name, shape in shapes.items()}
    return state_dict(widened, _SEEDS[file])


def save_published(folder: Path) -> Path:
    """The published model; the folder of its files."""
    root = first_file("x-dyna", folder).parents[1]
    for file in _SEEDS:
        (root / file).parent.mkdir(exist_ok=True)
        write_checkpoint(root / file, tensors_of(file), "module")
    return root


def save_encoders(folder: Path) -> None:
    """VAE, image encoder, resampler and text encoder. The resampler's file also holds layers of a U-Net."""
    config = ResamplerConfig()
    save_vae(first_file("sd-vae-ft-mse", folder).parent)
    save_image_encoder(first_file("ip-adapter-image-encoder", folder).parent, width=config.features_width)
    save_text_encoder(first_file("sd-1.5-text-encoder", folder).parent, width=config.context_width)
    torch.manual_seed(0)
    resampler = {f"image_proj.{name}": tensor for name, tensor in Resampler(config).state_dict().items()}
    numbers = {name: 2 * place + 1 for place, name in enumerate(cross_attentions())}
    layers = {}
    for name, tensor in tensors_of(UNET_FILE).items():
        if "_ip." in name:
            attention, _, layer = name.rpartition(".to_")
            layers[f"ip_adapter.{numbers[attention]}.to_{layer}"] = tensor
    save_file({**resampler, **layers}, first_file("ip-adapter-plus", folder))


def save_base(folder: Path) -> dict[str, Path]:
    """The base models, with the encoders, which are one of them; their paths by the names of their entries.

    Their tensors are those of the published model.
    """
    save_encoders(folder)
    paths = {weights.name: first_file(weights.name, folder) for weights in find_model("x-dyna").variant.base}
    unet = tensors_of(UNET_FILE)
    motion = {name: tensor for name, tensor in unet.items() if ".motion_modules." in name}
    own = ("_ff.", "_ip.", ".motion_modules.")
    save_file(
        {name: tensor for name, tensor in unet.items() if not any(part in name for part in own)}, paths["sd-1.5-unet"]
    )
    write_checkpoint(paths["animatediff-v1"], motion, "plain")
    save_file(tensors_of(POSE_FILE), paths["controlnet-openpose"])
    return paths


def cross_attentions() -> list[str]:
    """Names of a U-Net's cross-attentions in the order in which diffusers, and so IP-Adapter's files, count them."""
    unet = small_config().unet
    with torch.device("meta"):
        network: Any = UNet2DConditionModel(
            block_out_channels=unet.widths,
            attention_head_dim=unet.num_heads,
            cross_attention_dim=unet.context_width,
        )
    names = [name.removesuffix(".processor") for name in network.attn_processors]
    return [name for name in names if name.endswith("attn2")]
