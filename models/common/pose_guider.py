"""Pose guiders: small convolutional networks from pose maps to features at the resolution of latents."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

PAPER_WIDTHS = (16, 32, 64, 128)


class ReleasedPoseGuider(nn.Module):
    """Pose guider of the public checkpoints: ControlNet's condition embedding (arXiv 2302.05543).

    One level per width; each level but the last halves the resolution. The last layer is zero-initialised, unless
    `zero_output` is off.
    """

    def __init__(
        self, widths: tuple[int, ...], out_channels: int, *, in_channels: int = 3, zero_output: bool = True
    ) -> None:
        super().__init__()
        self.conv_in = _gaussian(nn.Conv2d(in_channels, widths[0], 3, padding=1))
        self.blocks = nn.ModuleList()
        for before, after in pairwise(widths):
            self.blocks.append(_gaussian(nn.Conv2d(before, before, 3, padding=1)))
            self.blocks.append(_gaussian(nn.Conv2d(before, after, 3, padding=1, stride=2)))
        initialised = _zero if zero_output else _gaussian
        self.conv_out = initialised(nn.Conv2d(widths[-1], out_channels, 3, padding=1))

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        """Features (N, out_channels, H / 8, W / 8), for four widths, of pose maps with values 0–1."""
        x = functional.silu(self.conv_in(maps_NCHW))
        for block in self.blocks:
            x = functional.silu(block(x))
        features: Tensor = self.conv_out(x)
        return features


class PaperPoseGuider(nn.Module):
    """Pose guider of arXiv 2311.17117, §3.2: four 4 × 4 convolutions of 16, 32, 64 and 128 channels, and a
    zero-initialised last layer.

    The paper gives all four convolutions a stride of 2, a resolution of 1/16, but adds the result to latents at 1/8.
    The fourth has stride 1 here.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        widths = (3, *PAPER_WIDTHS)
        self.blocks = nn.ModuleList(
            _gaussian(nn.Conv2d(before, after, 4, stride=2 if index < 3 else 1, padding=1 if index < 3 else "same"))
            for index, (before, after) in enumerate(pairwise(widths))
        )
        self.conv_out = _zero(nn.Conv2d(widths[-1], out_channels, 1))

    def forward(self, pose_N3HW: Tensor) -> Tensor:
        """Features (N, out_channels, H / 8, W / 8) of pose maps with values 0–1."""
        x = pose_N3HW
        for block in self.blocks:
            x = functional.silu(block(x))
        features: Tensor = self.conv_out(x)
        return features


def _gaussian(conv: nn.Conv2d) -> nn.Conv2d:
    """Gaussian weights (§3.2) with Kaiming's variance, which preserves the signal through the layers."""
    nn.init.kaiming_normal_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def _zero(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv
