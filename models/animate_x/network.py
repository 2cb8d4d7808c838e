"""The networks of Animate-X (arXiv 2410.10306) and UniAnimate (arXiv 2406.01188)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.animate_x.config import AnimateXConfig
from models.animate_x.embedders import LatentEmbedder, PictureEmbedder
from models.animate_x.indicators import PoseIndicator
from models.animation.clip import unit_images
from models.common.unet.unet import UNet

# B rows of a batch, F frames, G = F + 1 frames with the reference first, K numbers of a frame's keypoints, E width of
# an image embedding, L context tokens, Q motion tokens of a frame, D width, P droppable conditions

DROPPABLE = ("image_tokens", "reference", "skeletons")
"""Conditions that training drops one by one; the public code has no dropout of motion tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConditions:
    """Encoded inputs of B clips.

    `image_embeds_BE`: of the references. `text_tokens_1LD`: of the empty text. `reference_B3HW`: pictures, 0–1.
    `reference_latents_BCHW`: VAE latents of the references. `reference_pose_B3HW`: drawings of their skeletons, 0–1;
    None where the configuration does not read them. `poses_BFHWC`: uint8 skeleton drawings.
    `keypoints_BGK`, `features_BGE`: input of the pose indicator, the reference first; None without an indicator.
    """

    image_embeds_BE: Tensor
    text_tokens_1LD: Tensor
    reference_B3HW: Tensor
    reference_latents_BCHW: Tensor
    reference_pose_B3HW: Tensor | None
    poses_BFHWC: NDArray[np.uint8]
    keypoints_BGK: Tensor | None = None
    features_BGE: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipFeatures:
    """Features of B clips that depend on no window.

    `context_BLD`: text and image tokens; `unconditional_context_1LD`: with zeros for the image tokens.
    `frame_features_BFCHW`: of each skeleton drawing by itself. `picture_BC1HW`: of the reference; None where it is not
    read. `reference_frame_BCHW`: the reference as the frame before the others; None where it is not read.
    """

    clips: ClipConditions
    context_BLD: Tensor
    unconditional_context_1LD: Tensor
    frame_features_BFCHW: Tensor
    picture_BC1HW: Tensor | None
    reference_frame_BCHW: Tensor | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowConditions:
    """Inputs of the denoiser besides the noise, per row; zeros in unconditional rows.

    `context_BLD`: text and image tokens. `motion_tokens_BGQD`: motion tokens of each frame; None without a pose
    indicator. `reference_frame_BCHW`: prepended to the frames. `concat_BCFHW`: features concatenated to the latents.
    """

    context_BLD: Tensor
    motion_tokens_BGQD: Tensor | None
    reference_frame_BCHW: Tensor
    concat_BCFHW: Tensor

    @property
    def num_bytes(self) -> int:
        """Memory of the tensors."""
        motion = 0 if self.motion_tokens_BGQD is None else self.motion_tokens_BGQD.nbytes
        return motion + sum(x.nbytes for x in (self.context_BLD, self.reference_frame_BCHW, self.concat_BCFHW))

    @classmethod
    def stack(cls, rows: Sequence[WindowConditions]) -> WindowConditions:
        """Several rows as one batch."""
        motion = [row.motion_tokens_BGQD for row in rows if row.motion_tokens_BGQD is not None]
        return cls(
            context_BLD=torch.cat([row.context_BLD for row in rows]),
            motion_tokens_BGQD=torch.cat(motion) if motion else None,
            reference_frame_BCHW=torch.cat([row.reference_frame_BCHW for row in rows]),
            concat_BCFHW=torch.cat([row.concat_BCFHW for row in rows]),
        )


class Denoiser(UNet):
    """The denoising U-Net over the frames of a window with the reference's frame before them."""

    def __init__(self, config: AnimateXConfig) -> None:
        unet = config.unet
        super().__init__(replace(unet, in_channels=unet.in_channels + config.concat_channels), config.temporal)
        self.conv_norm_out = nn.GroupNorm(unet.norm_groups, unet.widths[0], eps=1e-5)
        self.conv_out = nn.Conv2d(unet.widths[0], unet.out_channels, 3, padding=1)

    def forward(self, latents_BCFHW: Tensor, t_B: Tensor, conditions: WindowConditions) -> Tensor:
        """The prediction, of the shape of `latents_BCFHW`. `t_B`: training steps, int64."""
        frames = torch.cat([latents_BCFHW, conditions.concat_BCFHW], 1)
        frames = torch.cat([conditions.reference_frame_BCHW[:, :, None], frames], 2)
        num_frames = frames.shape[2]
        motion = conditions.motion_tokens_BGQD
        x = self.forward_features(
            self.conv_in(frames.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)),
            t_B.repeat_interleave(num_frames),
            self.conditions(conditions.context_BLD),
            pose_conditions=None if motion is None else self.pose_conditions(motion.flatten(0, 1)),
            num_frames=num_frames,
        )
        predicted: Tensor = self.conv_out(functional.silu(self.conv_norm_out(x)))
        return predicted.reshape(-1, num_frames, *predicted.shape[1:])[:, 1:].transpose(1, 2)


class AnimateX(nn.Module):
    """Everything that is trained: denoiser, embedders and pose indicator, without the frozen encoders."""

    def __init__(self, config: AnimateXConfig) -> None:
        super().__init__()
        self.config = config
        width, channels = config.unet.context_width, config.concat_channels
        whole = config.unet.in_channels + channels
        self.denoiser = Denoiser(config)
        self.image_tokens = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width * config.num_image_tokens)
        )
        self.picture = PictureEmbedder(config.embedder_width, channels)
        self.skeleton = PictureEmbedder(config.embedder_width, channels)
        self.reference_pose = PictureEmbedder(config.embedder_width, whole)
        self.reference_latents = LatentEmbedder(config.unet.in_channels, config.embedder_width, whole)
        self.indicator = None if config.indicator is None else PoseIndicator(config.indicator, width)

    def clip_features(self, clips: ClipConditions, *, frames_at_once: int | None = None) -> ClipFeatures:
        """Features that depend on no window. `frames_at_once`: drawings of a call of the skeleton's convolutions, which
        work at full resolution; None: all.
        """
        form = self.config.reference
        picture = reference_frame = None
        if form != "first_frame":
            features = self.picture(self.picture.of_frames(clips.reference_B3HW)[:, None])
            picture = features.transpose(1, 2)
        if form != "picture":
            if clips.reference_pose_B3HW is None:
                raise ValueError(f"reference '{form}' reads the reference's skeleton, got none")
            pose = self.reference_pose(self.reference_pose.of_frames(clips.reference_pose_B3HW)[:, None])[:, 0]
            reference_frame = self.reference_latents(clips.reference_latents_BCHW) + pose
        return ClipFeatures(
            clips=clips,
            context_BLD=self._context(clips.text_tokens_1LD, self.image_tokens(clips.image_embeds_BE)),
            unconditional_context_1LD=self._context(clips.text_tokens_1LD, None),
            frame_features_BFCHW=self._frame_features(clips.poses_BFHWC, frames_at_once),
            picture_BC1HW=picture,
            reference_frame_BCHW=reference_frame,
        )

    def window_conditions(
        self, features: ClipFeatures, frames: Sequence[int], conditional_B: Tensor, kept_BP: Tensor | None = None
    ) -> WindowConditions:
        """Conditions of a window, a row per clip.

        `frames`: of the clips. `conditional_B`: bool; the other rows are the unconditional half of guidance. `kept_BP`:
        bool, which of `DROPPABLE` each row keeps; None: all of them in conditional rows.
        """
        if kept_BP is None:
            kept_BP = conditional_B[:, None].expand(-1, len(DROPPABLE))
        tokens_B, reference_B, skeletons_B = kept_BP.unbind(1)
        # A window's frames attend to one another in the embedder.
        skeletons = self.skeleton(features.frame_features_BFCHW[:, list(frames)]).transpose(1, 2)
        concat = skeletons * _mask(skeletons_B, skeletons)
        if features.picture_BC1HW is not None:
            concat = concat + features.picture_BC1HW * _mask(reference_B, features.picture_BC1HW)
        if features.reference_frame_BCHW is None:
            channels = self.config.unet.in_channels + self.config.concat_channels
            reference_frame = concat.new_zeros(len(concat), channels, *concat.shape[3:])
        else:
            reference_frame = features.reference_frame_BCHW
            reference_frame = reference_frame * _mask(reference_B, reference_frame)
        return WindowConditions(
            context_BLD=torch.where(tokens_B[:, None, None], features.context_BLD, features.unconditional_context_1LD),
            motion_tokens_BGQD=self._motion_tokens(features.clips, frames, conditional_B),
            reference_frame_BCHW=reference_frame,
            concat_BCFHW=concat,
        )

    def forward(
        self, latents_BCFHW: Tensor, t_B: Tensor, clips: ClipConditions, conditional_B: Tensor, kept_BP: Tensor | None
    ) -> Tensor:
        """The prediction for every row, for training. `conditional_B`, `kept_BP`: see `window_conditions`."""
        frames = range(latents_BCFHW.shape[2])
        conditions = self.window_conditions(self.clip_features(clips), frames, conditional_B, kept_BP)
        predicted: Tensor = self.denoiser(latents_BCFHW, t_B, conditions)
        return predicted

    def _context(self, text_tokens_1LD: Tensor, image_tokens: Tensor | None) -> Tensor:
        """(B, L + tokens, D): text tokens, then image tokens, or zeros in their place."""
        count = self.config.num_image_tokens
        if image_tokens is None:
            tokens = torch.zeros_like(text_tokens_1LD[:, :1]).expand(-1, count, -1)
        else:
            tokens = image_tokens.reshape(len(image_tokens), count, -1)
        return torch.cat([text_tokens_1LD.expand(len(tokens), -1, -1), tokens], 1)

    def _frame_features(self, poses_BFHWC: NDArray[np.uint8], frames_at_once: int | None) -> Tensor:
        """(B, F, C, h, w) of each drawing by itself."""
        like = self.denoiser.conv_out.weight
        num_frames = poses_BFHWC.shape[1]
        chunks = []
        for first in range(0, num_frames, frames_at_once or num_frames):
            drawings = unit_images(
                poses_BFHWC[:, first : first + (frames_at_once or num_frames)], like.device, like.dtype
            )
            features = self.skeleton.of_frames(drawings.flatten(0, 1))
            chunks.append(features.reshape(*drawings.shape[:2], *features.shape[1:]))
        return torch.cat(chunks, 1)

    def _motion_tokens(self, clips: ClipConditions, frames: Sequence[int], conditional_B: Tensor) -> Tensor | None:
        if self.indicator is None:
            return None
        if clips.keypoints_BGK is None or clips.features_BGE is None:
            raise ValueError("the pose indicator reads keypoints and embeddings of the frames, got none")
        window = [0, *(frame + 1 for frame in frames)]
        keypoints, features = clips.keypoints_BGK[:, window], clips.features_BGE[:, window]
        # Unconditional rows have the tokens of zeros, which go through the indicator as others do.
        mask = _mask(conditional_B, features)
        tokens: Tensor = self.indicator(keypoints * mask, features * mask)
        return tokens


def _mask(rows_B: Tensor, like: Tensor) -> Tensor:
    """1 for the chosen rows, 0 for the others, to multiply `like` with."""
    return rows_B.to(like.dtype).reshape(-1, *(1,) * (like.ndim - 1))
