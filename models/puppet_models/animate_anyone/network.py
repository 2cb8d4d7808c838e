"""A small Animate Anyone that reads more than the paper's: enough to be trained on a CPU.

Besides the paper's inputs, the denoiser reads the reference's latents and pose features beside the noise, and the
draft's latents (`models.puppet_models.draft`); the ReferenceNet reads the reference's skeleton, as in UniAnimate (arXiv
2406.01188, §3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from models.animate_anyone.config import AnimateAnyoneConfig
from models.animate_anyone.network import AnimateAnyone, ClipConditions, Denoiser, ReferenceConditions
from models.puppet_models.draft import Draft
from models.puppet_models.draft_features import DraftFeatures


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetClipConditions(ClipConditions):
    """`reference_pose_B3HW`: drawings of the references' skeletons, 0–1. `draft_BCFHW`: latents of the draft."""

    reference_pose_B3HW: Tensor
    draft_BCFHW: Tensor
    draft: Draft

    def rows(self, index: Sequence[int]) -> Self:
        """Some of the clips."""
        rows = list(index)
        return replace(
            super(PuppetClipConditions, self).rows(rows),
            reference_pose_B3HW=self.reference_pose_B3HW[rows],
            draft_BCFHW=self.draft_BCFHW[rows],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetReferenceConditions(ReferenceConditions):
    """`concat_RCHW`: the references' latents and pose features, concatenated to the noise of every frame."""

    concat_RCHW: Tensor


class PuppetDenoiser(Denoiser):
    """A denoiser with `PuppetReferenceConditions.concat_RCHW` beside the noise."""

    def __init__(self, config: AnimateAnyoneConfig) -> None:
        unet = config.unet
        self.num_concat = unet.in_channels + unet.widths[0]
        super().__init__(config, in_channels=unet.in_channels + self.num_concat)

    def with_reference(
        self, x_NCHW: Tensor, conditions: ReferenceConditions | None, num_frames: int, num_unconditional: int
    ) -> Tensor:
        """The latents with the reference beside them; zeros in unconditional rows."""
        rows = 0 if conditions is None else len(x_NCHW) - num_unconditional * num_frames
        unconditional = x_NCHW.new_zeros(len(x_NCHW) - rows, self.num_concat, *x_NCHW.shape[2:])
        if conditions is None:
            return torch.cat([x_NCHW, unconditional], 1)
        assert isinstance(conditions, PuppetReferenceConditions)
        concat = conditions.concat_RCHW
        per_frame = concat.expand(rows, -1, -1, -1) if len(concat) == 1 else concat.repeat_interleave(num_frames, 0)
        return torch.cat([x_NCHW, torch.cat([unconditional, per_frame]) if num_unconditional else per_frame], 1)


class PuppetAnimateAnyone(AnimateAnyone):
    """Needs the "released" pose guider. `limb_warp`: the convolution over the draft's latents."""

    pose_depends_on_reference = True

    def __init__(self, config: AnimateAnyoneConfig) -> None:
        if config.pose_guider != "released":
            raise ValueError(f"the puppet network needs pose_guider 'released', got '{config.pose_guider}'")
        super().__init__(config)
        self.limb_warp = DraftFeatures(config.unet.in_channels, config.unet.widths[0])

    def new_denoiser(self) -> Denoiser:
        """See `AnimateAnyone`."""
        return PuppetDenoiser(self.config)

    def reference_conditions(self, clips: ClipConditions) -> PuppetReferenceConditions:
        """See `AnimateAnyone`."""
        assert isinstance(clips, PuppetClipConditions)
        latents, tokens = clips.reference_latents_BCHW, clips.image_tokens_BLD
        pose = self.pose_guider(clips.reference_pose_B3HW)
        features = self.reference_net(latents, tokens, pose)
        return PuppetReferenceConditions(
            blocks=self.denoiser.conditions(tokens, features), concat_RCHW=torch.cat([latents, pose], 1)
        )

    def pose_features(self, clips: ClipConditions, frames: Sequence[int], conditional_B: Sequence[bool]) -> Tensor:
        """Pose features, with the draft's in conditional rows."""
        assert isinstance(clips, PuppetClipConditions)
        features = super().pose_features(clips, frames, conditional_B)
        conditional = torch.tensor(conditional_B, dtype=features.dtype, device=features.device)
        draft: Tensor = self.limb_warp(clips.draft_BCFHW[:, :, list(frames)])
        return features + draft * conditional[:, None, None, None, None]
