"""The networks of Animate-X (arXiv 2410.10306) and UniAnimate (arXiv 2406.01188)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.animate_x.config import NUM_JOINTS, AnimateXConfig
from models.animate_x.embedders import LatentEmbedder, PictureEmbedder
from models.animate_x.indicators import PoseIndicator
from models.common.unet.transformer import BlockConditions
from models.common.unet.unet import UNet
from models.common.unet.warped import WarpedReference, check_warped

# B rows of a batch, F frames of a window, K numbers of a frame's key points, E width of an image embedding, P parts

PARTS = ("image_tokens", "reference", "skeletons")
"""Conditions that training leaves out one by one; the public code has no dropout of motion tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What the denoiser reads besides the noise, row for row; rows without conditions have the plain ones.

    `blocks`: text and image tokens, of each transformer. `pose_blocks`: motion tokens of each frame, of each pose
    transformer; None where there are none. `first_BCHW`: what stands before the frames, in place of latents and what is
    beside them. `beside_BCFHW`: features beside the latents.
    """

    blocks: Sequence[BlockConditions]
    pose_blocks: Sequence[BlockConditions] | None
    first_BCHW: Tensor  # noqa: N815
    beside_BCFHW: Tensor  # noqa: N815


class Denoiser(UNet):
    """The denoising U-Net over the frames of a window with the reference's frame before them."""

    def __init__(self, config: AnimateXConfig) -> None:
        unet = config.unet
        super().__init__(replace(unet, in_channels=unet.in_channels + config.beside_channels), config.temporal)
        self.conv_norm_out = nn.GroupNorm(unet.norm_groups, unet.widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(unet.widths[0], unet.out_channels, 3, padding=1)

    def forward(self, latents_BCFHW: Tensor, t_B: Tensor, conditions: Conditions) -> Tensor:
        """The prediction, of the shape of `latents_BCFHW`. `t_B`: training steps, int64."""
        frames = torch.cat([latents_BCFHW, conditions.beside_BCFHW], 1)
        frames = torch.cat([conditions.first_BCHW[:, :, None], frames], 2)
        num_frames = frames.shape[2]
        x = self.walk(
            self.conv_in(frames.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)),
            t_B.repeat_interleave(num_frames),
            conditions.blocks,
            pose_conditions=conditions.pose_blocks,
            num_frames=num_frames,
        )
        predicted: Tensor = self.conv_out(functional.silu(self.conv_norm_out(x)))
        return predicted.reshape(-1, num_frames, *predicted.shape[1:])[:, 1:].transpose(1, 2)


class AnimateX(nn.Module):
    """All that is trained. The image encoder, the text encoder and the VAE stay as they are, and are not in it."""

    def __init__(self, config: AnimateXConfig) -> None:
        super().__init__()
        self.config = config
        width, channels = config.unet.context_width, config.beside_channels
        whole = config.unet.in_channels + channels
        self.denoiser = Denoiser(config)
        self.image_tokens = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width * config.num_image_tokens)
        )
        self.picture = PictureEmbedder(config.embedder_width, channels)
        self.skeleton = PictureEmbedder(config.embedder_width, channels)
        self.reference_pose = PictureEmbedder(config.embedder_width, whole)
        self.reference_latents = LatentEmbedder(config.unet.in_channels, config.embedder_width, whole)
        self.limb_warp: WarpedReference | None = None
        if config.limb_warp:
            self.limb_warp = WarpedReference(config.unet.in_channels, channels)
        self.indicator = None if config.indicator is None else PoseIndicator(config.indicator, width)

    def context(self, image_embeds_BE: Tensor | None, text_tokens_1LD: Tensor) -> Tensor:
        """(B, L + tokens, D): the text's tokens and the picture's; without a picture (1, …), zeros for its own."""
        count = self.config.num_image_tokens
        if image_embeds_BE is None:
            tokens = torch.zeros_like(text_tokens_1LD[:, :1]).expand(-1, count, -1)
        else:
            tokens = self.image_tokens(image_embeds_BE).unflatten(-1, (count, -1))
        return torch.cat([text_tokens_1LD.expand(len(tokens), -1, -1), tokens], 1)

    def motion_tokens(self, keypoints_BFK: Tensor, features_BFE: Tensor) -> Tensor | None:
        """(B, F, Q, D) motion tokens of a window, the reference's frame first; None without a pose indicator."""
        if self.indicator is None:
            return None
        tokens: Tensor = self.indicator(keypoints_BFK, features_BFE)
        return tokens

    def plain_motion_tokens(self, num_frames: int) -> Tensor | None:
        """(1, F, Q, D): the tokens of rows without conditions, for which all that the indicator reads is zero."""
        if self.config.indicator is None:
            return None
        like = self.denoiser.conv_out.weight
        return self.motion_tokens(
            like.new_zeros(1, num_frames, 2 * NUM_JOINTS),
            like.new_zeros(1, num_frames, self.config.indicator.features_width),
        )

    def picture_features(self, reference_B3HW: Tensor) -> Tensor:
        """(B, C, 1, h, w) of references with values 0–1: the same beside every frame."""
        features: Tensor = self.picture(self.picture.of_frames(reference_B3HW)[:, None])
        return features.transpose(1, 2)

    def pose_features(self, frame_features_BFCHW: Tensor) -> Tensor:
        """(B, C, F, h, w) of a window's skeletons, from what `skeleton.of_frames` makes of each drawing, values 0–1."""
        features: Tensor = self.skeleton(frame_features_BFCHW)
        return features.transpose(1, 2)

    def first_frame(self, reference_latents_BCHW: Tensor, reference_pose_B3HW: Tensor) -> Tensor:
        """(B, C, h, w): the reference as the frame before the others, with its skeleton's drawing, values 0–1."""
        pose: Tensor = self.reference_pose(self.reference_pose.of_frames(reference_pose_B3HW)[:, None])[:, 0]
        first: Tensor = self.reference_latents(reference_latents_BCHW) + pose
        return first

    def without_text(self) -> Tensor:
        """(1, 1, D) zeros in place of a text's tokens, for a network that is trained without a text encoder."""
        return torch.zeros(1, 1, self.config.unet.context_width)

    def forward(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        image_embeds_BE: Tensor,
        text_tokens_1LD: Tensor,
        reference_B3HW: Tensor,
        reference_latents_BCHW: Tensor,
        reference_pose_B3HW: Tensor,
        pose_BF3HW: Tensor,
        keypoints_BFK: Tensor | None,
        features_BFE: Tensor | None,
        conditional_B: Tensor,
        kept_BP: Tensor | None = None,
        warped_BCFHW: Tensor | None = None,
    ) -> Tensor:
        """The prediction for every row, as training needs it; rows without conditions are those of guidance.

        `pose_BF3HW`: drawings of the frames, 0–1. `keypoints_BFK`, `features_BFE`: of the reference and of the frames
        after it, which only a pose indicator reads. `conditional_B`: bool. `kept_BP`: bool, which of `PARTS` a row
        keeps; None for all of them in rows with conditions. `warped_BCFHW`: latents of the reference moved limb by limb
        into each pose, where the configuration asks for them.

        Raises:
            ValueError: such latents given and not asked for, or the other way round.
        """
        check_warped(self.config.limb_warp, warped_BCFHW)
        if kept_BP is None:
            kept_BP = conditional_B[:, None].expand(-1, len(PARTS))
        tokens_B, reference_B, skeletons_B = kept_BP.unbind(1)
        image_tokens = self.context(image_embeds_BE, text_tokens_1LD)
        plain_tokens = self.context(None, text_tokens_1LD)
        context = torch.where(tokens_B[:, None, None], image_tokens, plain_tokens)
        per_frame = self.skeleton.of_frames(pose_BF3HW.flatten(0, 1))
        beside = self.pose_features(per_frame.reshape(*pose_BF3HW.shape[:2], *per_frame.shape[1:]))
        beside = beside * _of_rows(skeletons_B, beside)
        if self.config.reference != "first_frame":
            picture = self.picture_features(reference_B3HW)
            beside = beside + picture * _of_rows(reference_B, picture)
        if self.limb_warp is not None and warped_BCFHW is not None:
            warped = self.limb_warp(warped_BCFHW)
            beside = beside + warped * _of_rows(reference_B & skeletons_B, warped)
        if self.config.reference == "picture":
            height, width = latents_BCFHW.shape[-2:]
            first = beside.new_zeros(len(beside), latents_BCFHW.shape[1] + beside.shape[1], height, width)
        else:
            first = self.first_frame(reference_latents_BCHW, reference_pose_B3HW)
            first = first * _of_rows(reference_B, first)
        predicted: Tensor = self.denoiser(
            latents_BCFHW,
            t_B,
            Conditions(
                blocks=self.denoiser.conditions(context),
                pose_blocks=self._pose_blocks(keypoints_BFK, features_BFE, conditional_B),
                first_BCHW=first,
                beside_BCFHW=beside,
            ),
        )
        return predicted

    def _pose_blocks(
        self, keypoints_BFK: Tensor | None, features_BFE: Tensor | None, conditional_B: Tensor
    ) -> Sequence[BlockConditions] | None:
        if self.indicator is None:
            return None
        if keypoints_BFK is None or features_BFE is None:
            raise ValueError("the pose indicator reads key points and embeddings of the frames, got none")
        # The tokens of rows without conditions are those of zeros, which go through the indicator as others do.
        seen = _of_rows(conditional_B, features_BFE)
        tokens: Tensor = self.indicator(keypoints_BFK * seen, features_BFE * seen)
        return self.denoiser.pose_conditions(tokens.flatten(0, 1))


def _of_rows(chosen_B: Tensor, like: Tensor) -> Tensor:
    """1 for the rows that are chosen, 0 for others, to multiply `like` with."""
    return chosen_B.to(like.dtype).reshape(-1, *(1,) * (like.ndim - 1))
