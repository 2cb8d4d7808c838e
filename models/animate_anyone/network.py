"""The networks of Animate Anyone (arXiv 2311.17117): ReferenceNet, pose guider, denoiser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.animate_anyone.config import AnimateAnyoneConfig
from models.animate_anyone.pose_guider import PaperPoseGuider, ReleasedPoseGuider
from models.common.unet.transformer import BlockConditions
from models.common.unet.unet import UNet
from models.common.unet.warped import WarpedReference, check_warped

# R references: one for all rows of a batch, or one for each row that has conditions


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What the denoiser reads of a reference, made once for all steps and windows.

    `blocks`: one for each transformer. `beside_RCHW`: the reference's latents, and its pose features where the
    configuration has `reference_pose`; None where it has no `reference_latents`.
    """

    blocks: Sequence[BlockConditions]
    beside_RCHW: Tensor | None = None  # noqa: N815


class ReferenceNet(UNet):
    """A U-Net over the reference's latents, whose features every transformer of the denoiser attends to (§3.2)."""

    def __init__(self, config: AnimateAnyoneConfig) -> None:
        super().__init__(config.unet)
        # Features end at the first norm of the last transformer: what follows it is in the checkpoints, but does
        # nothing.
        last = self.transformers[-1]
        for module in (last.proj_out, last.block.attn1, last.block.attn2, last.block.ff):
            module.requires_grad_(False)
        for norm in (last.block.norm2, last.block.norm3):
            norm.requires_grad_(False)

    def forward(
        self, latents_RCHW: Tensor, image_tokens_RLD: Tensor, pose_features_RCHW: Tensor | None = None
    ) -> list[Tensor]:
        """Features (R, H · W, C) of each transformer, in the order in which they run, at training step 0."""
        features: list[Tensor] = []
        t_R = torch.zeros(len(latents_RCHW), dtype=torch.long, device=latents_RCHW.device)
        x = self.conv_in(latents_RCHW)
        if pose_features_RCHW is not None:
            x = x + pose_features_RCHW
        self.walk(x, t_R, self.conditions(image_tokens_RLD), features=features)
        return features


class Denoiser(UNet):
    """The denoising U-Net with temporal layers."""

    def __init__(self, config: AnimateAnyoneConfig) -> None:
        unet = config.unet
        if config.reference_latents:
            beside = unet.in_channels + (unet.widths[0] if config.reference_pose else 0)
            unet = replace(unet, in_channels=unet.in_channels + beside)
        super().__init__(unet, config.temporal)
        self.pose_in_latents = config.pose_guider == "paper"
        self.conv_norm_out = nn.GroupNorm(unet.norm_groups, unet.widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(unet.widths[0], unet.out_channels, 3, padding=1)

    def forward(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        conditions: Conditions | None,
        pose_features_BCFHW: Tensor | None = None,
        *,
        num_plain: int = 0,
    ) -> Tensor:
        """The prediction, of the shape of `latents_BCFHW`.

        `t_B`: training steps, int64. The first `num_plain` rows are without conditions (the unconditional half of
        guidance): they see the pose, but no reference, and a zero image token.
        """
        num_frames = latents_BCFHW.shape[2]
        x = _by_frame(latents_BCFHW)
        pose = None if pose_features_BCFHW is None else _by_frame(pose_features_BCFHW)
        if pose is not None and self.pose_in_latents:
            x = x + pose
        if (num_beside := self.config.in_channels - x.shape[1]) > 0:
            x = torch.cat([x, _beside(x, num_beside, conditions, num_frames, num_plain)], 1)
        x = self.conv_in(x)
        if pose is not None and not self.pose_in_latents:
            x = x + pose
        blocks = None if conditions is None else conditions.blocks
        t_N = t_B.repeat_interleave(num_frames)
        x = self.walk(x, t_N, blocks, num_frames=num_frames, num_plain=num_plain)
        predicted: Tensor = self.conv_out(functional.silu(self.conv_norm_out(x)))
        return predicted.reshape(-1, num_frames, *predicted.shape[1:]).transpose(1, 2)


class AnimateAnyone(nn.Module):
    """All that is trained. The image encoder and the VAE stay as they are, and are not in it."""

    def __init__(self, config: AnimateAnyoneConfig) -> None:
        super().__init__()
        self.config = config
        self.reference_net = ReferenceNet(config)
        self.pose_guider: ReleasedPoseGuider | PaperPoseGuider = (
            ReleasedPoseGuider(config.pose_widths, config.unet.widths[0])
            if config.pose_guider == "released"
            else PaperPoseGuider(config.unet.in_channels)
        )
        self.limb_warp: WarpedReference | None = None
        if config.limb_warp:
            self.limb_warp = WarpedReference(config.unet.in_channels, config.unet.widths[0])
        self.denoiser = Denoiser(config)

    def conditions(
        self, image_tokens_RLD: Tensor, reference_latents_RCHW: Tensor, reference_pose_R3HW: Tensor | None = None
    ) -> Conditions:
        """What the denoiser reads of a reference: its image tokens, its features, its latents where it sees them.

        `reference_pose_R3HW`: drawings of the reference's skeleton with values 0–1, where the configuration asks for
        them.

        Raises:
            ValueError: drawings given and not asked for, or the other way round.
        """
        if self.config.reference_pose != (reference_pose_R3HW is not None):
            raise ValueError(
                f"the configuration has reference_pose={self.config.reference_pose}, got "
                f"{'no drawing' if reference_pose_R3HW is None else 'a drawing'} of the reference's skeleton"
            )
        pose = None if reference_pose_R3HW is None else self.pose_guider(reference_pose_R3HW)
        features = self.reference_net(reference_latents_RCHW, image_tokens_RLD, pose)
        beside = None
        if self.config.reference_latents:
            beside = reference_latents_RCHW if pose is None else torch.cat([reference_latents_RCHW, pose], 1)
        return Conditions(blocks=self.denoiser.conditions(image_tokens_RLD, features), beside_RCHW=beside)

    def pose_features(self, pose_BF3HW: Tensor) -> Tensor:
        """(B, C, F, h, w) of skeleton drawings with values 0–1."""
        features: Tensor = self.pose_guider(pose_BF3HW.flatten(0, 1))
        return features.reshape(*pose_BF3HW.shape[:2], *features.shape[1:]).transpose(1, 2)

    def forward(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        image_tokens_BLD: Tensor,
        pose_BF3HW: Tensor,
        reference_latents_BCHW: Tensor,
        conditional_B: Tensor,
        reference_pose_B3HW: Tensor | None = None,
        warped_BCFHW: Tensor | None = None,
    ) -> Tensor:
        """The prediction for every row, as training needs it; rows without conditions are those of guidance.

        `conditional_B`: bool. `warped_BCFHW`: latents of the reference moved limb by limb into each pose, where the
        configuration asks for them.

        Raises:
            ValueError: drawings of the reference, or such latents, given and not asked for, or the other way round.
        """
        check_warped(self.config.limb_warp, warped_BCFHW)
        order = torch.argsort(conditional_B.long(), stable=True)
        num_plain = len(order) - int(conditional_B.sum())
        seen = order[num_plain:]
        conditions = None
        if len(seen):
            pose = None if reference_pose_B3HW is None else reference_pose_B3HW[seen]
            conditions = self.conditions(image_tokens_BLD[seen], reference_latents_BCHW[seen], pose)
        pose_features = self.pose_features(pose_BF3HW[order])
        if self.limb_warp is not None and warped_BCFHW is not None:
            seen_B = conditional_B[order].to(pose_features.dtype)[:, None, None, None, None]
            pose_features = pose_features + self.limb_warp(warped_BCFHW[order]) * seen_B
        predicted: Tensor = self.denoiser(
            latents_BCFHW[order],
            t_B[order],
            conditions,
            pose_features,
            num_plain=num_plain,
        )
        return predicted[torch.argsort(order)]

    def temporal_parameters(self) -> Iterator[nn.Parameter]:
        """What the second stage of training trains; the first trains all others."""
        return self.denoiser.temporal_parameters()


def _by_frame(x_BCFHW: Tensor) -> Tensor:
    """(B · F, C, H, W), in the memory order that convolutions like."""
    return x_BCFHW.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)


def _beside(
    x_NCHW: Tensor, num_channels: int, conditions: Conditions | None, num_frames: int, num_plain: int
) -> Tensor:
    """(N, num_channels, H, W): the reference for every frame, zeros for rows without conditions."""
    rows = 0 if conditions is None else len(x_NCHW) - num_plain * num_frames
    plain = x_NCHW.new_zeros(len(x_NCHW) - rows, num_channels, *x_NCHW.shape[2:])
    if conditions is None:
        return plain
    beside_RCHW = conditions.beside_RCHW
    assert beside_RCHW is not None
    every = (
        beside_RCHW.expand(rows, -1, -1, -1) if len(beside_RCHW) == 1 else beside_RCHW.repeat_interleave(num_frames, 0)
    )
    return torch.cat([plain, every]) if num_plain else every
