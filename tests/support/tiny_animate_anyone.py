"""Smallest configuration of Animate Anyone and of its puppet network, and frozen encoders with random weights."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from models.animate_anyone.config import AnimateAnyoneConfig
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae
from models.common.checkpoint import save_checkpoint
from models.common.unet.config import TemporalConfig, UNetConfig
from models.sampling.config import ScheduleConfig, WindowConfig

TINY = AnimateAnyoneConfig(
    unet=UNetConfig(
        in_channels=PUPPETS_VAE.latent_channels,
        out_channels=PUPPETS_VAE.latent_channels,
        widths=(16, 16),
        attention=(True, True),
        layers_per_block=1,
        num_heads=2,
        context_width=64,
        norm_groups=4,
    ),
    temporal=TemporalConfig(max_frames=16, num_heads=2),
    pose_widths=(8, 8, 16, 16),
    schedule=ScheduleConfig(),
    windows=WindowConfig(size=8, overlap=2, layout="open_loop"),
    num_steps=2,
    guidance_scale=1.0,
    pose_preset="embedded",
)


def write_appearance(folder: Path) -> Path:
    """Write a VAE and an image encoder with random weights into the folder for `model.encoders`."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(Vae(PUPPETS_VAE).network.state_dict(), folder / "vae.safetensors", metadata={})
    encoder = new_puppets_image_encoder().network
    save_checkpoint(encoder.state_dict(), folder / "image_encoder.safetensors", metadata={})
    return folder


def tiny_recipe(
    appearance: Path,
    stage: int = 1,
    *,
    network: Any = TINY,
    num_frames: int | None = None,
    **recipe: Any,
) -> dict[str, Any]:
    """Content of a recipe file for a puppet model: 64 pixels, batches of two. `num_frames`: None is 1 in stage 1 and 4
    in stage 2.
    """
    sampling = {"height_px": 64, "width_px": 64, "sample_margin": 3, "num_frames": num_frames or (1, 4)[stage - 1]}
    return {
        "model": {"encoders": str(appearance), "network": asdict(network)},
        # In half precision, rounding depends on the other rows of a batch, and runs could not be compared.
        "recipe": {
            "stage": stage,
            "steps": 8,
            "batch_size": 2,
            "precision": "float32",
            "sampling": sampling,
            **recipe,
        },
        "checkpoints": {"every_steps": 3, "keep": 2},
        "log_every_steps": 2,
    }
