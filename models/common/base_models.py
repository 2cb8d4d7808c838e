"""Animate Anyone's networks at the start of training, from public base models (arXiv 2311.17117, §3.4).

| part | begins as |
|---|---|
| denoiser, ReferenceNet | U-Net of Stable Diffusion; further input channels of the denoiser zero |
| temporal layers | those of AnimateDiff |
| pose guider of the public code | condition tower of an OpenPose ControlNet, output zero |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from models.common.checkpoint import fill, read_tensors
from models.common.pose_guider import ReleasedPoseGuider
from models.common.unet.motion_keys import renamed_motion_keys
from models.common.unet.reference_net import ReferenceNet
from models.common.unet.unet import UNet, is_temporal

OUTPUT_LAYERS = ("conv_norm_out.", "conv_out.")
"""Layers of Stable Diffusion's U-Net that a ReferenceNet lacks."""
_FIRST = "conv_in.weight"
_TOWER, _TOWER_OUTPUT = "controlnet_cond_embedding.", "conv_out."


def without_output(unet: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a U-Net that its ReferenceNet has."""
    return {name: tensor for name, tensor in unet.items() if not name.startswith(OUTPUT_LAYERS)}


def begin_from_base(
    denoiser: UNet, reference_net: ReferenceNet, pose_guider: nn.Module, unet: Path, motion: Path, control_net: Path
) -> None:
    """Load the base models; layers that none of them has keep their values.

    Args:
        pose_guider: filled if it is the public code's.
        unet, motion, control_net: files of Stable Diffusion's U-Net, AnimateDiff and an OpenPose ControlNet.

    Raises:
        CheckpointError: a file is absent or damaged, or has a tensor that is missing, unexpected or misshapen.
    """
    tensors = read_tensors(unet)
    fill(reference_net, without_output(tensors), unet)
    # The file is whole and of this shape, but for the layers of the output.
    plain = {*reference_net.state_dict(), *(name for name in denoiser.state_dict() if name.startswith(OUTPUT_LAYERS))}
    fill(denoiser, _with_channels(tensors, denoiser), unet, holds=plain.__contains__)
    fill(denoiser, renamed_motion_keys(read_tensors(motion), motion), motion, holds=is_temporal)
    if isinstance(pose_guider, ReleasedPoseGuider):
        control = read_tensors(control_net)
        tower = {name.removeprefix(_TOWER): tensor for name, tensor in control.items() if name.startswith(_TOWER)}
        kept = {name: tensor for name, tensor in tower.items() if not name.startswith(_TOWER_OUTPUT)}
        fill(pose_guider, kept, control_net, holds=lambda name: not name.startswith(_TOWER_OUTPUT))


def _with_channels(tensors: Mapping[str, Tensor], denoiser: UNet) -> dict[str, Tensor]:
    """Tensors with the first convolution's input channels of `denoiser`, zeros for those beyond a latent's."""
    first = tensors[_FIRST]
    weight = torch.zeros_like(denoiser.conv_in.weight)
    weight[:, : first.shape[1]] = first
    return {**tensors, _FIRST: weight}
