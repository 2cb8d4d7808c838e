"""ControlNets (arXiv 2302.05543) of a U-Net's configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from diffusers import ControlNetModel
from torch import Tensor, nn

from models.common.unet.config import UNetConfig
from models.x_dyna.config import XDynaConfig


def new_control_net(config: XDynaConfig, *, channels: int) -> nn.Module:
    """ControlNet of diffusers with random weights; its output layers are zero. `channels`: of the control pictures."""
    unet: UNetConfig = config.unet
    network: Any = ControlNetModel(  # type: ignore[no-untyped-call]  # diffusers' own is untyped
        in_channels=unet.in_channels,
        conditioning_channels=channels,
        conditioning_embedding_out_channels=config.control_widths,
        block_out_channels=unet.widths,
        down_block_types=tuple("CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in unet.attention),
        layers_per_block=unet.layers_per_block,
        attention_head_dim=tuple(unet.heads(width) for width in unet.widths),  # in spite of its name, their number
        cross_attention_dim=unet.context_width,
        norm_num_groups=unet.norm_groups,
    )
    # Sets the function that the blocks checkpoint with; a recipe decides whether they do.
    network.enable_gradient_checkpointing()
    for module in network.modules():
        if hasattr(module, "gradient_checkpointing"):
            module.gradient_checkpointing = False
    control_net: nn.Module = network
    return control_net


def control_maps(
    network: nn.Module, latents_BCFHW: Tensor, t_B: Tensor, text_1LD: Tensor, images_BFCHW: Tensor
) -> tuple[Tensor, ...]:
    """Residuals of every frame, in the order of `ControlResiduals`: (B, F, C, h, w) each."""
    num_frames = latents_BCFHW.shape[2]
    latents_NCHW = latents_BCFHW.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    skips, middle = network(
        latents_NCHW,
        t_B.repeat_interleave(num_frames),
        encoder_hidden_states=text_1LD.expand(len(latents_NCHW), -1, -1),
        controlnet_cond=images_BFCHW.flatten(0, 1),
        return_dict=False,
    )
    return tuple(residual.reshape(-1, num_frames, *residual.shape[1:]) for residual in (*skips, middle))


def summed(controls: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Sum of the residuals of several ControlNets; empty without any."""
    return tuple(sum(residuals[1:], residuals[0]) for residuals in zip(*controls, strict=True))
