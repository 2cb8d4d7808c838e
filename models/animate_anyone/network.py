"""The networks of Animate Anyone (arXiv 2311.17117): ReferenceNet, pose guider, denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.animate_anyone.config import AnimateAnyoneConfig
from models.animation.clip import unit_images
from models.common.pose_guider import PaperPoseGuider, ReleasedPoseGuider
from models.common.unet.config import UNetConfig
from models.common.unet.reference_net import ReferenceNet
from models.common.unet.transformer import BlockConditions
from models.common.unet.unet import UNet

# B rows of a batch, R rows with a reference, F frames, L context tokens, D width


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConditions:
    """Encoded inputs of B clips.

    `image_tokens_BLD`: image embeddings as context tokens. `reference_latents_BCHW`: VAE latents of the references.
    `poses_BFHWC`: uint8 skeleton drawings, which the pose guider reads a few frames at a time.
    """

    image_tokens_BLD: Tensor
    reference_latents_BCHW: Tensor
    poses_BFHWC: NDArray[np.uint8]

    def rows(self, index: Sequence[int]) -> Self:
        """Some of the clips."""
        rows = list(index)
        return replace(
            self,
            image_tokens_BLD=self.image_tokens_BLD[rows],
            reference_latents_BCHW=self.reference_latents_BCHW[rows],
            poses_BFHWC=self.poses_BFHWC[rows],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceConditions:
    """Conditions from R references, the same for all steps and windows. `blocks`: one per transformer."""

    blocks: Sequence[BlockConditions]


class Denoiser(UNet):
    """The denoising U-Net with temporal layers.

    `in_channels`: None for those of a latent.
    """

    def __init__(self, config: AnimateAnyoneConfig, *, in_channels: int | None = None) -> None:
        unet: UNetConfig = config.unet
        super().__init__(replace(unet, in_channels=in_channels or unet.in_channels), config.temporal)
        self.pose_in_latents = config.pose_guider == "paper"
        self.conv_norm_out = nn.GroupNorm(unet.norm_groups, unet.widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(unet.widths[0], unet.out_channels, 3, padding=1)

    def forward(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        conditions: ReferenceConditions | None,
        pose_features_BCFHW: Tensor | None = None,
        *,
        num_unconditional: int = 0,
    ) -> Tensor:
        """The prediction, of the shape of `latents_BCFHW`.

        `t_B`: training steps, int64. The first `num_unconditional` rows are the unconditional half of guidance: they
        have the pose, but no reference, and a zero image token.
        """
        num_frames = latents_BCFHW.shape[2]
        x = _by_frame(latents_BCFHW)
        pose = None if pose_features_BCFHW is None else _by_frame(pose_features_BCFHW)
        if pose is not None and self.pose_in_latents:
            x = x + pose
        x = self.conv_in(self.with_reference(x, conditions, num_frames, num_unconditional))
        if pose is not None and not self.pose_in_latents:
            x = x + pose
        x = self.forward_features(
            x,
            t_B.repeat_interleave(num_frames),
            None if conditions is None else conditions.blocks,
            num_frames=num_frames,
            num_unconditional=num_unconditional,
        )
        predicted: Tensor = self.conv_out(functional.silu(self.conv_norm_out(x)))
        return predicted.reshape(-1, num_frames, *predicted.shape[1:]).transpose(1, 2)

    def with_reference(
        self,
        x_NCHW: Tensor,
        conditions: ReferenceConditions | None,  # noqa: ARG002  (for subclasses)
        num_frames: int,  # noqa: ARG002
        num_unconditional: int,  # noqa: ARG002
    ) -> Tensor:
        """The input of `conv_in`: the latents alone."""
        return x_NCHW


class AnimateAnyone(nn.Module):
    """Everything that is trained: ReferenceNet, pose guider and denoiser, without image encoder and VAE."""

    pose_depends_on_reference = False
    """Whether `pose_features` differ between conditional and unconditional rows."""

    def __init__(self, config: AnimateAnyoneConfig) -> None:
        super().__init__()
        self.config = config
        self.reference_net = ReferenceNet(config.unet)
        self.pose_guider: ReleasedPoseGuider | PaperPoseGuider = (
            ReleasedPoseGuider(config.pose_widths, config.unet.widths[0])
            if config.pose_guider == "released"
            else PaperPoseGuider(config.unet.in_channels)
        )
        self.denoiser = self.new_denoiser()

    def new_denoiser(self) -> Denoiser:
        """The denoiser of this configuration, with random weights."""
        return Denoiser(self.config)

    def reference_conditions(self, clips: ClipConditions) -> ReferenceConditions:
        """Image tokens and ReferenceNet features, as keys and values of the denoiser's transformers."""
        tokens = clips.image_tokens_BLD
        features = self.reference_net(clips.reference_latents_BCHW, tokens)
        return ReferenceConditions(blocks=self.denoiser.conditions(tokens, features))

    def pose_features(
        self,
        clips: ClipConditions,
        frames: Sequence[int],
        conditional_B: Sequence[bool],  # noqa: ARG002  (for subclasses)
    ) -> Tensor:
        """(B, C, n, h, w) of the skeleton drawings of some frames."""
        like = self.pose_guider.conv_out.weight
        drawings_BF3HW = unit_images(clips.poses_BFHWC[:, list(frames)], like.device, like.dtype)
        features: Tensor = self.pose_guider(drawings_BF3HW.flatten(0, 1))
        return features.reshape(*drawings_BF3HW.shape[:2], *features.shape[1:]).transpose(1, 2)

    def forward(self, latents_BCFHW: Tensor, t_B: Tensor, clips: ClipConditions, conditional_B: Tensor) -> Tensor:
        """The prediction for every row, for training.

        `conditional_B`: bool; the other rows are the unconditional half of guidance.
        """
        order = torch.argsort(conditional_B.long(), stable=True)
        num_unconditional = len(order) - int(conditional_B.sum())
        rows = order.tolist()
        conditions = None
        if num_unconditional < len(rows):
            conditions = self.reference_conditions(clips.rows(rows[num_unconditional:]))
        pose = self.pose_features(clips.rows(rows), range(latents_BCFHW.shape[2]), conditional_B[order].tolist())
        predicted: Tensor = self.denoiser(
            latents_BCFHW[order], t_B[order], conditions, pose, num_unconditional=num_unconditional
        )
        return predicted[torch.argsort(order)]


def _by_frame(x_BCFHW: Tensor) -> Tensor:
    """(B · F, C, H, W) in channels-last memory order."""
    return x_BCFHW.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
