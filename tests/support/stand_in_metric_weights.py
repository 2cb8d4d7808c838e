"""Stand-ins of the published weights of measures: generated values in the published formats and sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import golden_weights
import pytest
import torch
from torch import Tensor, nn

from models.metrics.networks.i3d import I3d, KineticsI3d
from models.metrics.networks.inception import FidInception, InceptionV3
from models.metrics.networks.lpips import Heads, Lpips, Vgg16
from models.metrics.networks.resnet3d import KineticsResNet, ResNet3d

DIVISOR = 8
"""Of the published widths, in tests that need the loading code and not the size."""
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
    # LPIPS never runs the classifier, of half a gigabyte: its tensors are one zero each, seen in the published shapes.
    classifier = {key: torch.zeros(1).expand(shape) for key, shape in shapes.items() if key not in features}
    torch.save({**golden_weights.state_dict(features, SEED), **classifier}, path)


def save_heads(path: Path, *, width_divisor: int = 1) -> None:
    """Positive, as the published ones: distances grow with differences."""
    tensors = tensors_of(lambda: Heads(width_divisor=width_divisor))
    torch.save({key: value.abs() for key, value in tensors.items()}, path)


MAKERS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "fid-inception": save_inception,
        "resnet3d-50-kinetics": save_resnet3d,
        "i3d-kinetics-400": save_i3d,
        "lpips-vgg16": save_vgg16,
        "lpips-heads": save_heads,
    }
)
"""Name of an entry of the catalogue -> function that writes its file."""
TINY: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {name: partial(make, width_divisor=DIVISOR) for name, make in MAKERS.items()}
)
"""The same, for `expect_tiny`."""


def expect_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process's backends load the files of `TINY` in place of the published widths."""
    for network in (FidInception, KineticsResNet, KineticsI3d, Lpips):
        monkeypatch.setattr(network, "__init__", _narrow(network.__init__))


def _narrow(init: Callable[..., None]) -> Callable[..., None]:
    def narrow(*args: object, **options: object) -> None:
        init(*args, **{"width_divisor": DIVISOR, **options})

    return narrow
