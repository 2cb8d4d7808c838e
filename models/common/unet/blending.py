"""Spatial blending of object features (Animate Anyone 2, arXiv 2502.06145, §3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.common.unet.config import BlendingConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectFeatures:
    """Features of the objects in N frames at every level of a U-Net, from the full resolution down.

    `levels`: each (N, C, h, w), of the level's width and resolution. `presence`: each (N, 1, h, w), 0 where the objects
    have no influence and 1 elsewhere.
    """

    levels: Sequence[Tensor]
    presence: Sequence[Tensor]

    def level(self, index: int) -> tuple[Tensor, Tensor]:
        """Features and presence at a level."""
        return self.levels[index], self.presence[index]


class SpatialBlending(nn.Module):
    """α · z_obj + (1 − α) · z with α = sigmoid(Conv2D([z, z_obj])). The convolution is zero-initialised, so that α
    begins at ½.
    """

    def __init__(self, width: int, config: BlendingConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * width, 1 if config.weights == "place" else width, 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, x_NCHW: Tensor, objects_NCHW: Tensor, presence_N1HW: Tensor) -> Tensor:
        """The blended features; where `presence_N1HW` is 0, `x_NCHW` itself."""
        alpha = torch.sigmoid(self.conv(torch.cat([x_NCHW, objects_NCHW], 1))) * presence_N1HW
        return x_NCHW + alpha * (objects_NCHW - x_NCHW)
