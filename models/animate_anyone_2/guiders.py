"""Object guider (arXiv 2502.06145, §3.3) and depth-wise pose modulation (§3.4)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.common.pose_guider import ReleasedPoseGuider
from models.common.unet.attention import MultiHeadAttention


class ObjectGuider(nn.Module):
    """Object latents to features of every level of the U-Net.

    One 3 × 3 convolution per level, of the level's width. The paper has four that halve the resolution; here the first
    keeps it, so that the four levels are those of the decoder, whose lowest is at ⅛ of the latents.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1, stride=2 if index else 1)
            for index, (before, after) in enumerate(pairwise((in_channels, *widths)))
        )

    def forward(self, objects_NCHW: Tensor) -> list[Tensor]:
        """Features (N, C, h, w) of each level, from the full resolution down."""
        features = []
        x = objects_NCHW
        for level in self.levels:
            x = functional.silu(level(x))
            features.append(x)
        return features


class PoseModulation(nn.Module):
    """Depth merged into skeleton features: cross-attention from skeleton to structured depth within each frame, then a
    convolution over frames, which smooths errors of single frames.

    The convolution is zero-initialised and its output is added to the skeleton features.
    """

    def __init__(self, pose_widths: tuple[int, ...], width: int, *, num_heads: int, kernel: int) -> None:
        super().__init__()
        # Not zero-initialised: behind another layer of zeros it would get no gradient.
        self.depth_guider = ReleasedPoseGuider(pose_widths, width, in_channels=1, zero_output=False)
        self.norm_pose = nn.LayerNorm(width)
        self.norm_depth = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, num_heads=num_heads)
        self.smoothing = nn.Conv3d(width, width, kernel, padding=kernel // 2)
        nn.init.zeros_(self.smoothing.weight)
        assert self.smoothing.bias is not None
        nn.init.zeros_(self.smoothing.bias)

    def merge(self, pose_NCHW: Tensor, depth_N1HW: Tensor) -> Tensor:
        """Skeleton features with those of depth maps merged in; maps have values 0–1 and 8 times the resolution."""
        depth = self.depth_guider(depth_N1HW)
        pose_NLD, depth_NLD = (x.flatten(2).transpose(1, 2) for x in (pose_NCHW, depth))
        context = self.attention.keys_values(self.norm_depth(depth_NLD))
        merged: Tensor = pose_NLD + self.attention(self.norm_pose(pose_NLD), context)
        return merged.transpose(1, 2).reshape(pose_NCHW.shape)

    def forward(self, pose_BCFHW: Tensor, merged_BCFHW: Tensor) -> Tensor:
        """Skeleton features plus the convolution over frames of the merged ones (`merge`)."""
        smoothed: Tensor = self.smoothing(merged_BCFHW.contiguous(memory_format=torch.contiguous_format))
        return pose_BCFHW + smoothed
