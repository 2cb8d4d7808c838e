"""Smallest configurations of Animate-X and UniAnimate, for the VAE and image encoder that ship."""

from __future__ import annotations

from dataclasses import replace

import torch
from stand_in_networks import fill_zeros

from models.animate_x.config import AnimateXConfig, IndicatorConfig, NoisePrior
from models.appearance.vae import PUPPETS_VAE
from models.common.unet.config import TemporalConfig, UNetConfig
from models.puppet_models.animate_x.network import PuppetAnimateX
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

UNIANIMATE_TINY = replace(
    TINY,
    unet=replace(TINY.unet, pose_attention=None),
    indicator=None,
    reference="first_frame",
    noise_prior=NoisePrior(),
)


def new_network(config: AnimateXConfig = TINY) -> PuppetAnimateX:
    """A puppet network in evaluation mode with random weights, also where they are zero-initialised."""
    torch.manual_seed(0)
    network = PuppetAnimateX(config).eval()
    fill_zeros(network)
    return network
