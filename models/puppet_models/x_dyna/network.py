"""A small X-Dyna that also reads a draft (`models.puppet_models.draft`), enough to be trained on a CPU.

The prediction is blended with the draft, so that the network need not learn to copy what the draft has right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from models.common.unet.control import ControlResiduals
from models.puppet_models.draft import Draft
from models.puppet_models.draft_blend import DraftWeight, blended
from models.puppet_models.draft_features import DraftFeatures
from models.sampling.schedule import NoiseSchedule
from models.x_dyna.blocks import ImageBlockConditions
from models.x_dyna.conditions import ClipConditions
from models.x_dyna.config import XDynaConfig
from models.x_dyna.network import Denoiser, XDyna


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetClipConditions(ClipConditions):
    """`draft_BCFHW`: latents of the draft."""

    draft_BCFHW: Tensor
    draft: Draft


@dataclass(frozen=True, kw_only=True, slots=True)
class DraftControl(ControlResiduals):
    """Adds the latents of the draft of each clip, and their features, which are added to the first convolution's."""

    draft_BCFHW: Tensor
    features_BCFHW: Tensor

    @classmethod
    def of_windows(cls, windows: Sequence[Self], rows: tuple[int, ...]) -> Self:
        """See `ControlResiduals`."""
        residuals = ControlResiduals.of_windows(windows, rows)
        return cls(
            maps=residuals.maps,
            rows=rows,
            draft_BCFHW=torch.cat([window.draft_BCFHW for window in windows]),
            features_BCFHW=torch.cat([window.features_BCFHW for window in windows]),
        )


class PuppetDenoiser(Denoiser):
    """A denoiser that predicts the draft where it trusts it. The reference's frame has no draft."""

    def __init__(self, config: XDynaConfig) -> None:
        super().__init__(config)
        self.schedule = NoiseSchedule(config.schedule)
        self.draft_weight = DraftWeight(config.unet.widths[0], config.unet.out_channels)

    def first_features(self, x_NCHW: Tensor, control: ControlResiduals | None, num_frames: int) -> Tensor:
        """See `Denoiser`."""
        assert isinstance(control, DraftControl)
        features_BFCHW = _with_reference(control.of_rows(control.features_BCFHW), num_frames).transpose(1, 2)
        x = super().first_features(x_NCHW, control, num_frames)
        x_BFCHW = x.reshape(-1, num_frames, *x.shape[1:]) + features_BFCHW
        return x_BFCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)

    def forward(
        self,
        latents_BCFHW: Tensor,
        t_B: Tensor,
        conditions: Sequence[ImageBlockConditions],
        control: ControlResiduals | None = None,
    ) -> Tensor:
        """See `Denoiser`."""
        assert isinstance(control, DraftControl)
        num_frames = latents_BCFHW.shape[2]
        hidden_NCHW = self.hidden(latents_BCFHW, t_B, conditions, control)
        predicted, weight = (
            x_NCHW.reshape(-1, num_frames, *x_NCHW.shape[1:]).transpose(1, 2)
            for x_NCHW in (self.conv_out(hidden_NCHW), self.draft_weight(hidden_NCHW))
        )
        draft = _with_reference(control.of_rows(control.draft_BCFHW), num_frames)
        return blended(predicted, draft.expand_as(predicted), weight, t_B, self.schedule)


class PuppetXDyna(XDyna):
    """`limb_warp`: the convolution over the draft's latents."""

    def __init__(self, config: XDynaConfig) -> None:
        super().__init__(config)
        self.limb_warp = DraftFeatures(config.unet.in_channels, config.unet.widths[0])

    def new_denoiser(self) -> Denoiser:
        """See `XDyna`."""
        return PuppetDenoiser(self.config)

    def control(
        self,
        clips: ClipConditions,
        frames: Sequence[int],
        latents_BCFHW: Tensor,
        t_B: Tensor,
        images: tuple[Tensor | None, Tensor | None],
        controls_B2: Tensor | None = None,
    ) -> DraftControl:
        """See `XDyna`."""
        assert isinstance(clips, PuppetClipConditions)
        residuals = super().control(clips, frames, latents_BCFHW, t_B, images, controls_B2)
        draft = clips.draft_BCFHW[:, :, list(frames)]
        return DraftControl(maps=residuals.maps, draft_BCFHW=draft, features_BCFHW=self.limb_warp(draft))


def _with_reference(x_BCFHW: Tensor, num_frames: int) -> Tensor:
    """Zeros for the reference's frame before those of a window, if the clip has one."""
    missing = num_frames - x_BCFHW.shape[2]
    return functional.pad(x_BCFHW, (0, 0, 0, 0, missing, 0))
