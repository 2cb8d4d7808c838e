"""The networks of X-Dyna (arXiv 2501.10021): denoiser, pose ControlNet, S-Face ControlNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.common.unet.control import ControlResiduals
from models.common.unet.reference_net import ReferenceNet
from models.common.unet.resnet import pooled_norm
from models.common.unet.unet import UNet
from models.x_dyna.blocks import DynamicsBlock, ImageBlock, ImageBlockConditions
from models.x_dyna.conditions import BODY, FACE, ClipConditions, ControlPictures
from models.x_dyna.config import XDynaConfig
from models.x_dyna.controls import control_maps, new_control_net, summed

# B windows of a batch, R rows of conditions, F frames, L tokens, D width


class Denoiser(UNet):
    """The denoising U-Net. With a Dynamics-Adapter the first frame of every clip is the reference."""

    def __init__(self, config: XDynaConfig) -> None:
        unet, adapter = config.unet, config.appearance == "adapter"
        super().__init__(unet, replace(config.temporal, passes_first_frame=adapter))
        for transformer in self.transformers:
            width = transformer.proj_in.out_channels
            block = (DynamicsBlock if adapter else ImageBlock)(
                width, num_heads=unet.heads(width), context_width=unet.context_width
            )
            transformer.transformer_blocks = nn.ModuleList([block])
        self.conv_norm_out = nn.GroupNorm(unet.norm_groups, unet.widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(unet.widths[0], unet.out_channels, 3, padding=1)

    def image_conditions(
        self, text_RLD: Tensor, image_RLD: Tensor, reference: Sequence[Tensor] | None = None
    ) -> list[ImageBlockConditions]:
        """Conditioning inputs of every transformer. `reference`: features of a ReferenceNet."""
        blocks = [transformer.block for transformer in self.transformers]
        features = reference if reference is not None else [None] * len(blocks)
        conditions = []
        for block, block_features in zip(blocks, features, strict=True):
            assert isinstance(block, ImageBlock)
            conditions.append(block.image_conditions(text_RLD, image_RLD, block_features))
        return conditions

    def forward(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        conditions: Sequence[ImageBlockConditions],
        control: ControlResiduals | None = None,
    ) -> Tensor:
        """The prediction for every frame, also for the reference's, where it has no meaning."""
        num_frames = latents_BCFHW.shape[2]
        hidden_NCHW = self.hidden(latents_BCFHW, t_B, conditions, control)
        predicted: Tensor = self.conv_out(hidden_NCHW)
        return predicted.reshape(-1, num_frames, *predicted.shape[1:]).transpose(1, 2)

    def hidden(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        conditions: Sequence[ImageBlockConditions],
        control: ControlResiduals | None,
    ) -> Tensor:
        """Input of the last convolution, (N, C, H, W)."""
        num_frames = latents_BCFHW.shape[2]
        x = latents_BCFHW.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = self.forward_features(
            self.first_features(x, control, num_frames),
            t_B.repeat_interleave(num_frames),
            conditions,
            control=control,
            num_frames=num_frames,
        )
        normed = (
            pooled_norm(self.conv_norm_out, x, num_frames)
            if self.config.residual_norm == "pooled"
            else self.conv_norm_out(x)
        )
        return functional.silu(normed)

    def first_features(
        self,
        x_NCHW: Tensor,
        control: ControlResiduals | None,  # noqa: ARG002  (for subclasses)
        num_frames: int,  # noqa: ARG002
    ) -> Tensor:
        """Output of the first convolution."""
        features: Tensor = self.conv_in(x_NCHW)
        return features


class XDyna(nn.Module):
    """Everything that is trained, without VAE, image and text encoders.

    Attributes:
        runs_face: whether the S-Face ControlNet runs.
    """

    def __init__(self, config: XDynaConfig) -> None:
        super().__init__()
        self.config = config
        self.runs_face = config.face
        self.denoiser = self.new_denoiser()
        self.pose_control = new_control_net(config, channels=3)
        self.face_control = new_control_net(config, channels=6) if config.face else None
        self.reference_net = ReferenceNet(config.unet) if config.appearance == "reference_net" else None

    def new_denoiser(self) -> Denoiser:
        """The denoiser of this configuration, with random weights."""
        return Denoiser(self.config)

    def block_conditions(self, clips: ClipConditions, image_RLD: Tensor) -> list[ImageBlockConditions]:
        """Conditioning inputs of the denoiser. `image_RLD`: image tokens of R rows, R = B or B = 1."""
        reference = None
        if self.reference_net is not None:
            reference = self.reference_net(clips.reference_latents_BCHW, clips.image_tokens_BLD)
        return self.denoiser.image_conditions(clips.text_tokens_1LD, image_RLD, reference)

    def control_images(
        self,
        pose: ControlPictures,
        face: ControlPictures | None,
        frames: Sequence[int],
        runs: Sequence[bool],
        like: Tensor,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Control images (B, n, 3, H, W) and (B, n, 6, H, W) of some frames; None for a ControlNet that does not run.

        `runs`: whether the body and the face control. `like`: of their device and dtype.
        """
        drawings = pose.images(frames, device=like.device, dtype=like.dtype) if runs[BODY] else None
        if not (runs[FACE] and self.runs_face) or face is None:
            return drawings, None
        return drawings, face.images(frames, device=like.device, dtype=like.dtype)

    def control_residuals(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        text_1LD: Tensor,
        images: tuple[Tensor | None, Tensor | None],
        controls_B2: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Sum of the residuals of both ControlNets for `ControlResiduals`; empty where none runs.

        `images`: see `control_images`. `controls_B2`: weight of each ControlNet in each row; None: 1.
        """
        maps = []
        for place, (network, of_network) in enumerate(zip((self.pose_control, self.face_control), images, strict=True)):
            if network is None or of_network is None:
                continue
            residuals = control_maps(network, latents_BCFHW, t_B, text_1LD, of_network)
            if controls_B2 is not None:
                weight_B = controls_B2[:, place].to(latents_BCFHW.dtype)
                residuals = tuple(residual * weight_B[:, None, None, None, None] for residual in residuals)
            maps.append(residuals)
        return summed(maps)

    def control(
        self,
        clips: ClipConditions,
        frames: Sequence[int],  # noqa: ARG002  (for subclasses)
        latents_BCFHW: Tensor,
        t_B: Tensor,
        images: tuple[Tensor | None, Tensor | None],
        controls_B2: Tensor | None = None,
    ) -> ControlResiduals:
        """Residuals for some frames of the clips. Arguments as for `control_residuals`."""
        maps = self.control_residuals(latents_BCFHW, t_B, clips.text_tokens_1LD, images, controls_B2)
        return ControlResiduals(maps=maps)

    def predict(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        reference_latents_BCHW: Tensor,
        conditions: Sequence[ImageBlockConditions],
        control: ControlResiduals,
    ) -> Tensor:
        """The prediction, of the shape of `latents_BCFHW`. The reference's latents may be of one row for all."""
        if self.config.appearance != "adapter":
            predicted: Tensor = self.denoiser(latents_BCFHW, t_B, conditions, control)
            return predicted
        first = reference_latents_BCHW[:, :, None].expand(len(latents_BCFHW), -1, -1, -1, -1)
        with_first: Tensor = self.denoiser(torch.cat([first, latents_BCFHW], 2), t_B, conditions, control)
        return with_first[:, :, 1:]

    def forward(self, latents_BCFHW: Tensor, t_B: Tensor, clips: ClipConditions, conditional_B: Tensor) -> Tensor:
        """The prediction for every row, for training; rows that are not conditional have blank image tokens.

        Both ControlNets run whatever the rows' controls, unless `runs_face` is off.
        """
        image = torch.where(conditional_B[:, None, None], clips.image_tokens_BLD, clips.blank_tokens_1LD)
        face = None if clips.face_BFHWC is None else ControlPictures(clips.face_BFHWC)
        frames = range(latents_BCFHW.shape[2])
        images = self.control_images(ControlPictures(clips.poses_BFHWC), face, frames, (True, True), latents_BCFHW)
        controls = torch.from_numpy(clips.controls_B2).to(latents_BCFHW.device)
        control = self.control(clips, frames, latents_BCFHW, t_B, images, controls)
        return self.predict(
            latents_BCFHW,
            t_B,
            clips.reference_latents_BCHW,
            self.block_conditions(clips, image),
            control,
        )
