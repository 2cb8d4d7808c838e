"""Animate Anyone's denoiser of one clip, with everything computed that depends on no step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.animate_anyone.network import AnimateAnyone, ClipConditions
from models.sampling.denoise import Windows

POSE_FEATURE_BYTES = 256 * 2**20
"""Pose features of a whole clip are kept up to this size. Those of longer clips are computed in every window, at a
small share of the denoiser's cost, so that memory does not grow with the clip."""
FRAMES_AT_ONCE = 4
"""Drawings of a call of the pose guider, whose first layers work at full resolution."""


class ClipDenoiser:
    """See `models.sampling.denoise.Denoiser`."""

    def __init__(self, network: AnimateAnyone, clip: ClipConditions) -> None:
        """`clip`: a batch of one."""
        self._network, self._clip = network, clip
        self._reference = network.reference_conditions(clip)
        weight = network.pose_guider.conv_out.weight
        num_frames = clip.poses_BFHWC.shape[1]
        height, width = clip.reference_latents_BCHW.shape[2:]
        self._keeps = num_frames * weight.shape[0] * height * width * weight.dtype.itemsize <= POSE_FEATURE_BYTES
        self._kept: dict[bool, Tensor] = {}

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        """The prediction for each row."""
        order = sorted(range(len(windows)), key=lambda row: conditional[row])
        pose = torch.stack([self._pose_features(windows[row], conditional[row]) for row in order])
        x = latents_BCFHW[order].to(pose.dtype)
        t_B = torch.full((len(order),), t, device=x.device)
        predicted = self._network.denoiser(
            x, t_B, self._reference, pose, num_unconditional=len(windows) - sum(conditional)
        )
        back = sorted(range(len(order)), key=order.__getitem__)
        ordered: Tensor = predicted[back].to(latents_BCFHW.dtype)
        return ordered

    def _pose_features(self, window: Sequence[int], conditional: bool) -> Tensor:
        """(C, F, h, w) of a window."""
        conditional = conditional and self._network.pose_depends_on_reference
        if not self._keeps:
            return self._compute(window, conditional)
        if conditional not in self._kept:
            self._kept[conditional] = self._compute(range(self._clip.poses_BFHWC.shape[1]), conditional)
        return self._kept[conditional][:, list(window)]

    def _compute(self, frames: Sequence[int], conditional: bool) -> Tensor:
        chunks = [frames[first : first + FRAMES_AT_ONCE] for first in range(0, len(frames), FRAMES_AT_ONCE)]
        return torch.cat([self._network.pose_features(self._clip, chunk, [conditional])[0] for chunk in chunks], 1)
