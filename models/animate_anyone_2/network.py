"""The networks of Animate Anyone 2 (arXiv 2502.06145): ReferenceNet, pose towers, object guider, denoiser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.animate_anyone_2.conditions import ClipConditions, WindowConditions
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.animate_anyone_2.guiders import ObjectGuider, PoseModulation
from models.animation.clip import unit_images
from models.common.pose_guider import ReleasedPoseGuider
from models.common.unet.blending import ObjectFeatures
from models.common.unet.reference_net import ReferenceNet
from models.common.unet.transformer import BlockConditions
from models.common.unet.unet import UNet

# B windows of a batch, R of them with a reference, F frames, N = B · F, L context tokens, D width

FRAMES_AT_ONCE = 4
"""Drawings of a call of the pose towers, whose first layers work at full resolution."""


class Denoiser(UNet):
    """The denoising U-Net: environment beside the noise, object features blended into the decoder."""

    def __init__(self, config: AnimateAnyone2Config) -> None:
        unet = config.unet
        super().__init__(
            replace(unet, in_channels=unet.in_channels + config.concat_channels),
            config.temporal,
            config.blending if config.objects == "blending" else None,
        )
        self.conv_norm_out = nn.GroupNorm(unet.norm_groups, unet.widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(unet.widths[0], unet.out_channels, 3, padding=1)

    def forward(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        windows: WindowConditions,
        reference: Sequence[BlockConditions] | None,
    ) -> Tensor:
        """The prediction, of the shape of `latents_BCFHW`.

        `windows`: unconditional rows first. `reference`: of the conditional rows, or of one for all of them; None where
        there are none.
        """
        num_frames = latents_BCFHW.shape[2]
        x = self.conv_in(_by_frame(torch.cat([latents_BCFHW, windows.concat_BCFHW], 1)))
        objects = None
        if windows.objects:
            objects = ObjectFeatures(
                levels=[_by_frame(level) for level in windows.objects],
                presence=[_by_frame(level) for level in windows.presence],
            )
        x = self.forward_features(
            x + _by_frame(windows.pose_BCFHW),
            t_B.repeat_interleave(num_frames),
            reference,
            objects=objects,
            num_frames=num_frames,
            num_unconditional=windows.conditional.count(False),
        )
        predicted: Tensor = self.conv_out(functional.silu(self.conv_norm_out(x)))
        return _by_clip(predicted, num_frames)


class AnimateAnyone2(nn.Module):
    """Everything that is trained, without image encoder and VAE."""

    windows_depend_on_reference = False
    """Whether `window_conditions` differ between conditional and unconditional rows."""

    def __init__(self, config: AnimateAnyone2Config) -> None:
        super().__init__()
        self.config = config
        unet, width = config.unet, config.unet.widths[0]
        self.reference_net = ReferenceNet(unet)
        self.pose_guider = ReleasedPoseGuider(config.pose_widths, width)
        self.pose_modulation = (
            PoseModulation(config.pose_widths, width, num_heads=config.modulation_heads, kernel=config.smoothing_kernel)
            if config.pose_modulation
            else None
        )
        self.object_guider = (
            ObjectGuider(unet.in_channels + config.mask_channels, unet.widths) if config.objects == "blending" else None
        )
        self.denoiser = Denoiser(config)

    def reference_conditions(self, clips: ClipConditions) -> list[BlockConditions]:
        """Image tokens and ReferenceNet features, as keys and values of the denoiser's transformers.

        Features reach the middle block and the decoder only (§3.1).
        """
        tokens = clips.image_tokens_BLD
        return self.denoiser.conditions(tokens, self._decoder_features(self.reference_features(clips)))

    def reference_features(self, clips: ClipConditions) -> list[Tensor]:
        """Features of every transformer of the ReferenceNet."""
        features: list[Tensor] = self.reference_net(clips.reference_latents_BCHW, clips.image_tokens_BLD)
        return features

    def window_conditions(
        self, clips: ClipConditions, frames: Sequence[int], conditional: Sequence[bool]
    ) -> WindowConditions:
        """Conditions of the same frames of each clip; `conditional`: whether each has its reference."""
        index = list(frames)
        objects, object_mask = clips.objects_BCFHW[:, :, index], clips.object_mask_B1FHW[:, :, index]
        masked = self.config.mask_channels
        beside = [clips.environment_BCFHW, *([clips.environment_mask_B1FHW] if masked else [])]
        concat = torch.cat(beside, 1)[:, :, index]
        with_mask = torch.cat([objects, object_mask], 1) if masked else objects
        if self.config.objects == "channels":
            concat = torch.cat([concat, with_mask], 1)
        levels, presence = self._object_features(with_mask, object_mask)
        return WindowConditions(
            pose_BCFHW=self.pose_features(clips, index, conditional),
            concat_BCFHW=concat,
            objects=levels,
            presence=presence,
            conditional=tuple(conditional),
        )

    def pose_features(
        self,
        clips: ClipConditions,
        frames: Sequence[int],
        conditional: Sequence[bool],  # noqa: ARG002  (for subclasses)
    ) -> Tensor:
        """(B, C, n, h, w) of the skeleton drawings and structured depth of some frames."""
        like = self.pose_guider.conv_out.weight
        pose, merged = [], []
        for chunk in _chunks(frames):
            drawings_BF3HW = unit_images(clips.poses_BFHWC[:, chunk], like.device, like.dtype)
            features = self.pose_guider(drawings_BF3HW.flatten(0, 1))
            pose.append(_by_clip(features, len(chunk)))
            if self.pose_modulation is not None:
                depth_BF1HW = unit_images(clips.depth_BFHW[:, chunk, ..., None], like.device, like.dtype)
                merged.append(_by_clip(self.pose_modulation.merge(features, depth_BF1HW.flatten(0, 1)), len(chunk)))
        pose_BCFHW = torch.cat(pose, 2)
        if self.pose_modulation is None:
            return pose_BCFHW
        modulated: Tensor = self.pose_modulation(pose_BCFHW, torch.cat(merged, 2))
        return modulated

    def predict(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        windows: WindowConditions,
        reference: Sequence[BlockConditions] | None,
    ) -> Tensor:
        """The prediction of every row, in any order. `reference`: as for `Denoiser`, in the order of the rows."""
        order = sorted(range(len(latents_BCFHW)), key=lambda row: windows.conditional[row])
        predicted: Tensor = self.denoiser(latents_BCFHW[order], t_B[order], windows.rows(order), reference)
        return predicted[sorted(range(len(order)), key=order.__getitem__)]

    def forward(self, latents_BCFHW: Tensor, t_B: Tensor, clips: ClipConditions, conditional: Sequence[bool]) -> Tensor:
        """The prediction for every row, for training; the rows that are not `conditional` have no reference."""
        rows = [row for row, has_reference in enumerate(conditional) if has_reference]
        reference = self.reference_conditions(clips.rows(rows)) if rows else None
        windows = self.window_conditions(clips, range(latents_BCFHW.shape[2]), conditional)
        return self.predict(latents_BCFHW, t_B, windows, reference)

    def _decoder_features(self, features: Sequence[Tensor]) -> list[Tensor | None]:
        num_encoder = self.denoiser.num_encoder_transformers
        return [*[None] * num_encoder, *features[num_encoder:]]

    def _object_features(
        self, objects_BCFHW: Tensor, mask_B1FHW: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Features of every level, and where they have an effect: (B, …, F, h, w) each."""
        if self.object_guider is None:
            return (), ()
        num_frames = mask_B1FHW.shape[2]
        levels: list[Tensor] = self.object_guider(_by_frame(objects_BCFHW))
        mask_N1HW = _by_frame(mask_B1FHW)
        if self.config.object_extent == "frame":
            mask_N1HW = mask_N1HW.amax((2, 3), keepdim=True).expand_as(mask_N1HW)
        presence = [functional.adaptive_max_pool2d(mask_N1HW, level.shape[2:]) for level in levels]
        return (
            tuple(_by_clip(level, num_frames) for level in levels),
            tuple(_by_clip(level, num_frames) for level in presence),
        )


def _by_frame(x_BCFHW: Tensor) -> Tensor:
    """(B · F, C, H, W) in channels-last memory order."""
    return x_BCFHW.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)


def _by_clip(x_NCHW: Tensor, num_frames: int) -> Tensor:
    """(B, C, F, H, W) of B · F frames."""
    return x_NCHW.reshape(-1, num_frames, *x_NCHW.shape[1:]).transpose(1, 2)


def _chunks(frames: Sequence[int]) -> Iterator[list[int]]:
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        yield list(frames[first : first + FRAMES_AT_ONCE])
