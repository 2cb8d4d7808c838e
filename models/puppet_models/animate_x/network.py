"""A small Animate-X that also reads the draft (`models.puppet_models.draft`): enough to be trained on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from models.animate_x.config import AnimateXConfig
from models.animate_x.network import AnimateX, ClipConditions, ClipFeatures, WindowConditions
from models.puppet_models.draft import Draft
from models.puppet_models.draft_features import DraftFeatures


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetClipConditions(ClipConditions):
    """`draft_BCFHW`: latents of the draft."""

    draft_BCFHW: Tensor
    draft: Draft


class PuppetAnimateX(AnimateX):
    """`limb_warp`: the convolution over the draft's latents."""

    def __init__(self, config: AnimateXConfig) -> None:
        super().__init__(config)
        self.limb_warp = DraftFeatures(config.unet.in_channels, config.concat_channels)

    def window_conditions(
        self, features: ClipFeatures, frames: Sequence[int], conditional_B: Tensor, kept_BP: Tensor | None = None
    ) -> WindowConditions:
        """Animate-X's conditions, with the draft's features in rows that keep both the reference and the skeletons."""
        assert isinstance(features.clips, PuppetClipConditions)
        conditions = super().window_conditions(features, frames, conditional_B, kept_BP)
        kept_B = conditional_B if kept_BP is None else kept_BP[:, 1] & kept_BP[:, 2]
        draft = self.limb_warp(features.clips.draft_BCFHW[:, :, list(frames)])
        mask = kept_B.to(draft.dtype)[:, None, None, None, None]
        return replace(conditions, concat_BCFHW=conditions.concat_BCFHW + draft * mask)
