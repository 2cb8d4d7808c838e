"""A small Animate Anyone 2 that also reads a draft (`models.puppet_models.scene_draft`), enough to be trained on a CPU.

The prediction is blended with the draft, so that the network need not learn to copy what the draft has right. The
ReferenceNet reads the reference's skeleton too, as in UniAnimate (arXiv 2406.01188, §3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from models.animate_anyone_2.conditions import ClipConditions, WindowConditions
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.animate_anyone_2.network import AnimateAnyone2, Denoiser, by_clip
from models.common.unet.transformer import BlockConditions
from models.puppet_models.draft_blend import DraftWeight, blended
from models.puppet_models.draft_features import DraftFeatures
from models.puppet_models.scene_draft import SceneDraft
from models.sampling.schedule import NoiseSchedule


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetClipConditions(ClipConditions):
    """`reference_pose_B3HW`: drawings of the references' skeletons, 0–1. `draft_BCFHW`: latents of the draft."""

    reference_pose_B3HW: Tensor
    draft_BCFHW: Tensor
    draft: SceneDraft


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetWindowConditions(WindowConditions):
    """`draft_BCFHW`: latents of the draft."""

    draft_BCFHW: Tensor


class PuppetDenoiser(Denoiser):
    """A denoiser that predicts the draft where it trusts it. Rows without conditions have no draft."""

    def __init__(self, config: AnimateAnyone2Config) -> None:
        super().__init__(config)
        self.schedule = NoiseSchedule(config.schedule)
        self.draft_weight = DraftWeight(config.unet.widths[0], config.unet.out_channels)

    def forward(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        windows: WindowConditions,
        reference: Sequence[BlockConditions] | None,
    ) -> Tensor:
        """See `Denoiser`."""
        assert isinstance(windows, PuppetWindowConditions)
        num_frames = latents_BCFHW.shape[2]
        hidden_NCHW = self.hidden(latents_BCFHW, t_B, windows, reference)
        predicted, weight = (by_clip(conv(hidden_NCHW), num_frames) for conv in (self.conv_out, self.draft_weight))
        conditional_B = torch.tensor(windows.conditional, dtype=predicted.dtype, device=predicted.device)
        weight = weight * conditional_B[:, None, None, None, None]
        return blended(predicted, windows.draft_BCFHW, weight, t_B, self.schedule)


class PuppetAnimateAnyone2(AnimateAnyone2):
    """`limb_warp`: the convolution over the draft's latents."""

    def __init__(self, config: AnimateAnyone2Config) -> None:
        super().__init__(config)
        self.limb_warp = DraftFeatures(config.unet.in_channels, config.unet.widths[0])

    def new_denoiser(self) -> Denoiser:
        """See `AnimateAnyone2`."""
        return PuppetDenoiser(self.config)

    def reference_features(self, clips: ClipConditions) -> list[Tensor]:
        """See `AnimateAnyone2`."""
        assert isinstance(clips, PuppetClipConditions)
        pose = self.pose_guider(clips.reference_pose_B3HW)
        features: list[Tensor] = self.reference_net(clips.reference_latents_BCHW, clips.image_tokens_BLD, pose)
        return features

    def window_conditions(
        self, clips: ClipConditions, frames: Sequence[int], conditional: Sequence[bool]
    ) -> PuppetWindowConditions:
        """See `AnimateAnyone2`."""
        assert isinstance(clips, PuppetClipConditions)
        windows = super().window_conditions(clips, frames, conditional)
        values = {field.name: getattr(windows, field.name) for field in fields(windows)}
        return PuppetWindowConditions(**values, draft_BCFHW=clips.draft_BCFHW[:, :, list(frames)])

    def pose_features(self, clips: ClipConditions, frames: Sequence[int], conditional: Sequence[bool]) -> Tensor:
        """Pose features, with the draft's in conditional rows."""
        assert isinstance(clips, PuppetClipConditions)
        features = super().pose_features(clips, frames, conditional)
        conditional_B = torch.tensor(conditional, dtype=features.dtype, device=features.device)
        draft: Tensor = self.limb_warp(clips.draft_BCFHW[:, :, list(frames)])
        return features + draft * conditional_B[:, None, None, None, None]
