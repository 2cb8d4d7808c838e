"""Animate-X at the smallest size that has all its parts, for the embedded VAE and image encoder."""

from __future__ import annotations

import torch

from models.animate_x.config import AnimateXConfig, IndicatorConfig
from models.animate_x.network import AnimateX
from models.appearance.vae import PUPPETS_VAE
from models.common.unet.config import TemporalConfig, UNetConfig
from models.sampling.config import WindowConfig

TINY = AnimateXConfig(
    unet=UNetConfig(
        in_channels=PUPPETS_VAE.latent_channels,
        out_channels=PUPPETS_VAE.latent_channels,
        widths=(16, 16),
        attention=(True, False),
        layers_per_block=1,
        head_width=8,
        context_width=64,
        norm_groups=4,
        pose_attention=1.0,
    ),
    temporal=TemporalConfig(layout="modelscope", positions=False, norm="pooled", head_width=8, num_heads=3),
    indicator=IndicatorConfig(
        width=32,
        features_width=64,
        encoder_layers=1,
        encoder_heads=2,
        encoder_ff_width=32,
        resampler_layers=1,
        resampler_heads=2,
        head_width=8,
    ),
    embedder_width=8,
    windows=WindowConfig(size=8, overlap=2),
    num_steps=2,
    guidance_scale=1.0,
    pose_preset="embedded",
)


def new_network(config: AnimateXConfig = TINY) -> AnimateX:
    """A network with random weights, none of them zero: zeros would hide what goes through them."""
    torch.manual_seed(0)
    network = AnimateX(config).eval()
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network
