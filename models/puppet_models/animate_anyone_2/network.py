"""A small Animate Anyone 2 that also reads a draft (`models.puppet_models.scene_draft`): enough to be trained on a CPU.

The ReferenceNet reads the reference's skeleton too, as in UniAnimate (arXiv 2406.01188, §3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.animate_anyone_2.conditions import ClipConditions
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.animate_anyone_2.network import AnimateAnyone2
from models.puppet_models.draft_features import DraftFeatures
from models.puppet_models.scene_draft import SceneDraft


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetClipConditions(ClipConditions):
    """`reference_pose_B3HW`: drawings of the references' skeletons, 0–1. `draft_BCFHW`: latents of the draft."""

    reference_pose_B3HW: Tensor
    draft_BCFHW: Tensor
    draft: SceneDraft


class PuppetAnimateAnyone2(AnimateAnyone2):
    """`limb_warp`: the convolution over the draft's latents."""

    def __init__(self, config: AnimateAnyone2Config) -> None:
        super().__init__(config)
        self.limb_warp = DraftFeatures(config.unet.in_channels, config.unet.widths[0])

    def reference_features(self, clips: ClipConditions) -> list[Tensor]:
        """See `AnimateAnyone2`."""
        assert isinstance(clips, PuppetClipConditions)
        pose = self.pose_guider(clips.reference_pose_B3HW)
        features: list[Tensor] = self.reference_net(clips.reference_latents_BCHW, clips.image_tokens_BLD, pose)
        return features

    def pose_features(self, clips: ClipConditions, frames: Sequence[int], conditional: Sequence[bool]) -> Tensor:
        """Pose features, with the draft's in conditional rows."""
        assert isinstance(clips, PuppetClipConditions)
        features = super().pose_features(clips, frames, conditional)
        conditional_B = torch.tensor(conditional, dtype=features.dtype, device=features.device)
        draft: Tensor = self.limb_warp(clips.draft_BCFHW[:, :, list(frames)])
        return features + draft * conditional_B[:, None, None, None, None]
