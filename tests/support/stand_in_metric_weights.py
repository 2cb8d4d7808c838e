"""Stand-ins of the published weights of measures: generated values in the published formats and sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import golden_weights
import pytest
import torch
from stand_in_faces import save_adaface, save_yunet
from stand_in_features import save_image_encoder
from torch import Tensor, nn

from models.metrics.networks.dino import DINO_VIT_B16, Dino
from models.metrics.networks.dynamic_textures import DTDB_CLASSES, DynamicTexturesI3d
from models.metrics.networks.i3d import I3d, KineticsI3d
from models.metrics.networks.inception import FidInception, InceptionV3
from models.metrics.networks.lpips import Heads, Lpips, Vgg16
from models.metrics.networks.resnet3d import KineticsResNet, ResNet3d
from models.metrics.networks.videomae import SOMETHING_SOMETHING_CLASSES, VIDEOMAE_VIT_G, VideoMae
from models.metrics.networks.vit import ClipTransformer, ImageTransformer, VitConfig

DIVISOR = 8
"""Of the published widths, in tests that need the loading code and not the size."""
TINY_DINO = VitConfig(width=48, depth=2, num_heads=3, mlp_width=192, patch_px=16, side_px=64)
TINY_VIDEOMAE = VitConfig(
    width=48, depth=2, num_heads=4, mlp_width=209, patch_px=14, side_px=28, num_frames=16, tubelet_frames=2
)
SEED = 11


def tensors_of(build: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """Generated tensors of a network."""
    with torch.device("meta"):
        shapes = {key: list(value.shape) for key, value in build().state_dict().items()}
    return golden_weights.state_dict(shapes, SEED)


def save_inception(path: Path, *, width_divisor: int = 1) -> None:
    torch.save(tensors_of(lambda: InceptionV3(width_divisor=width_divisor)), path)


def save_resnet3d(path: Path, *, width_divisor: int = 1) -> None:
    """As from data-parallel training, with the state of an optimizer beside it."""
    tensors = tensors_of(lambda: ResNet3d(width_divisor=width_divisor))
    weights = {f"module.{key}": value for key, value in tensors.items()}
    torch.save({"epoch": 1, "arch": "resnet-50", "state_dict": weights, "optimizer": {"state": {}}}, path)


def save_i3d(path: Path, *, width_divisor: int = 1) -> None:
    torch.save(tensors_of(lambda: I3d(width_divisor=width_divisor)), path)


def save_vgg16(path: Path, *, width_divisor: int = 1) -> None:
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in Vgg16(width_divisor=width_divisor).state_dict().items()}
    features = {key: list(shape) for key, shape in shapes.items() if key.startswith("features")}
    # LPIPS never runs the classifier, of half a gigabyte.
    classifier = golden_weights.never_run({key: shape for key, shape in shapes.items() if key not in features})
    torch.save({**golden_weights.state_dict(features, SEED), **classifier}, path)


def save_heads(path: Path, *, width_divisor: int = 1) -> None:
    """Positive, as the published ones: distances grow with differences."""
    tensors = tensors_of(lambda: Heads(width_divisor=width_divisor))
    torch.save({key: value.abs() for key, value in tensors.items()}, path)


def save_videomae(path: Path, *, config: VitConfig = VIDEOMAE_VIT_G) -> None:
    """In half precision, with the biases of queries and values apart."""
    tensors = tensors_of(lambda: ClipTransformer(config, num_classes=SOMETHING_SOMETHING_CLASSES))
    for key in [key for key in tensors if key.endswith("qkv.bias")]:
        query, _, value = tensors.pop(key).chunk(3)
        tensors |= {key.replace("qkv.bias", "q_bias"): query, key.replace("qkv.bias", "v_bias"): value}
    torch.save({"module": {key: value.half() for key, value in tensors.items()}}, path)


def save_dynamic_textures(path: Path, *, width_divisor: int = 1) -> None:
    tensors = tensors_of(lambda: I3d(num_classes=DTDB_CLASSES, width_divisor=width_divisor))
    torch.save({"epoch": 1, "state_dict": tensors}, path)


def save_dino(path: Path, *, config: VitConfig = DINO_VIT_B16) -> None:
    torch.save(tensors_of(lambda: ImageTransformer(config)), path)


MAKERS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "fid-inception": save_inception,
        "resnet3d-50-kinetics": save_resnet3d,
        "i3d-kinetics-400": save_i3d,
        "lpips-vgg16": save_vgg16,
        "lpips-heads": save_heads,
        "videomae-v2-vit-g-ssv2": save_videomae,
        "i3d-dtdb": save_dynamic_textures,
        "dino-vit-b16": save_dino,
        "clip-vit-b32": partial(save_image_encoder, safetensors=False),
        "yunet": save_yunet,
        "adaface-ir-18": save_adaface,
        "adaface-ir-101": save_adaface,
    }
)
"""Name of an entry of the catalogue -> function that writes its file, or its folder."""
_SMALLER: Mapping[str, tuple[type, dict[str, Any]]] = MappingProxyType(
    {
        "fid-inception": (FidInception, {"width_divisor": DIVISOR}),
        "resnet3d-50-kinetics": (KineticsResNet, {"width_divisor": DIVISOR}),
        "i3d-kinetics-400": (KineticsI3d, {"width_divisor": DIVISOR}),
        "lpips-vgg16": (Lpips, {"width_divisor": DIVISOR}),
        "lpips-heads": (Lpips, {"width_divisor": DIVISOR}),
        "videomae-v2-vit-g-ssv2": (VideoMae, {"config": TINY_VIDEOMAE}),
        "i3d-dtdb": (DynamicTexturesI3d, {"width_divisor": DIVISOR}),
        "dino-vit-b16": (Dino, {"config": TINY_DINO}),
    }
)
"""Networks of one published size, and the arguments that make them smaller."""
TINY: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {name: partial(make, **_SMALLER[name][1]) if name in _SMALLER else make for name, make in MAKERS.items()}
)
"""The same, for `expect_tiny`. The other networks take the size of their files."""


def expect_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process's backends load the files of `TINY` in place of the published widths."""
    for network, smaller in _SMALLER.values():
        monkeypatch.setattr(network, "__init__", _smaller(network.__init__, smaller))


def _smaller(init: Callable[..., None], smaller: Mapping[str, Any]) -> Callable[..., None]:
    def made(*args: object, **options: object) -> None:
        init(*args, **{**smaller, **options})

    return made
