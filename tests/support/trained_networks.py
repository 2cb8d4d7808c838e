"""Networks that differ from the included ones, as `zoetrope train perception` and `train appearance` write them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from models.appearance.vae import CHECKPOINTS as APPEARANCE
from models.common.checkpoint import read_tensors, save_checkpoint
from models.common.safetensors_file import read_metadata
from models.perception.network import PerceptionNet, PerceptionNetConfig
from models.perception.shipped import CHECKPOINTS as PERCEPTION


def write_perception(folder: Path, *names: str) -> Path:
    """Perception networks with the smallest changes: `figure`, `object`, `face`. Returns the folder."""
    return _write(folder, PERCEPTION, names)


def write_appearance_networks(folder: Path) -> Path:
    """VAE and image encoder, likewise."""
    return _write(folder, APPEARANCE, ("vae", "image_encoder"))


def write_small_figure(folder: Path) -> Path:
    """A figure network of other widths, with random weights. Returns the folder."""
    config = PerceptionNetConfig(input_px=32, widths=(8, 8, 8, 8, 8))
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = PerceptionNet(config).state_dict()
    save_checkpoint(tensors, folder / "figure.safetensors", metadata={"network": asdict(config), "steps": 1})
    return folder


def _write(folder: Path, included: Path, names: tuple[str, ...]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        file = f"{name}.safetensors"
        tensors = {
            key: tensor.float() * 1.01 if tensor.is_floating_point() else tensor
            for key, tensor in read_tensors(included / file).items()
        }
        metadata = read_metadata(included / file)
        save_checkpoint(tensors, folder / file, metadata=metadata, float_dtype=torch.float16)
    return folder
