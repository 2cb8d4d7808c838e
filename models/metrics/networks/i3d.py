"""I3D, whose logits FVD compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.metrics.networks.layers import BatchNorm, load_network
from models.metrics.networks.windows import resized, windows

INPUT_PX = 224
KINETICS_CLASSES = 400
BATCH_NORM_EPS = 1e-3
POOL_PX = 7

Sizes = tuple[int, int, int]
"""Of time, height and width."""

MIXED: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""Channels of the convolutions of each block, in the order of their names."""
POOLS: dict[str, tuple[Sizes, Sizes]] = {
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Kernel and stride of the pool before a block."""


def _same(x: Tensor, kernel: Sizes, stride: Sizes) -> Tensor:
    """Pad (N, C, T, H, W) with zeros to TensorFlow's size of "SAME"."""
    padding: list[int] = []
    for size, extent, step in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        missing = max(extent - (size % step or step), 0)
        padding += [missing // 2, missing - missing // 2]
    return functional.pad(x, padding)


def _max_pool(x: Tensor, kernel: Sizes, stride: Sizes) -> Tensor:
    return functional.max_pool3d(_same(x, kernel, stride), kernel, stride)


class Unit3d(nn.Module):
    """Convolution without bias, batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel_px: int, *, stride: int = 1, eps: float) -> None:
        super().__init__()
        self.kernel: Sizes = (kernel_px, kernel_px, kernel_px)
        self.stride: Sizes = (stride, stride, stride)
        self.conv3d = nn.Conv3d(inputs, outputs, self.kernel, stride=self.stride, bias=False)
        self.bn = BatchNorm(outputs, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Filter (N, C, T, H, W)."""
        return functional.relu(self.bn(self.conv3d(_same(x, self.kernel, self.stride))))


class Mixed(nn.Module):
    """Four parallel branches, concatenated over channels; `channels`: of b0, b1a, b1b, b2a, b2b and b3b."""

    def __init__(self, inputs: int, channels: Sequence[int], *, eps: float) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = channels
        self.b0 = Unit3d(inputs, b0, 1, eps=eps)
        self.b1a = Unit3d(inputs, b1a, 1, eps=eps)
        self.b1b = Unit3d(b1a, b1b, 3, eps=eps)
        self.b2a = Unit3d(inputs, b2a, 1, eps=eps)
        self.b2b = Unit3d(b2a, b2b, 3, eps=eps)
        self.b3b = Unit3d(inputs, b3b, 1, eps=eps)
        self.channels = b0 + b1b + b2b + b3b

    def forward(self, x: Tensor) -> Tensor:
        """Filter (N, C, T, H, W)."""
        pooled = _max_pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], dim=1)


class _Logits(nn.Module):
    """The last convolution, under its published name."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.conv3d(x)
        return logits


class I3d(nn.Module):
    """Inflated Inception v1 of Carreira and Zisserman 2017 (arXiv 1705.07750).

    Args:
        num_classes: classes of the last layer.
        batch_norm_eps: constant of batch normalisation.
        pool_frames: time steps over which features are averaged before the last layer.
        width_divisor: divides the published widths, for tests.
    """

    def __init__(
        self,
        *,
        num_classes: int = KINETICS_CLASSES,
        batch_norm_eps: float = BATCH_NORM_EPS,
        pool_frames: int = 1,
        width_divisor: int = 1,
    ) -> None:
        super().__init__()
        self.pool: Sizes = (pool_frames, POOL_PX, POOL_PX)
        eps, d = batch_norm_eps, width_divisor
        self.Conv3d_1a_7x7 = Unit3d(3, 64 // d, 7, stride=2, eps=eps)
        self.Conv3d_2b_1x1 = Unit3d(64 // d, 64 // d, 1, eps=eps)
        self.Conv3d_2c_3x3 = Unit3d(64 // d, 192 // d, 3, eps=eps)
        channels = 192 // d
        for name, widths in MIXED.items():
            block = Mixed(channels, [width // d for width in widths], eps=eps)
            self.add_module(name, block)
            channels = block.channels
        self.logits = _Logits(channels, num_classes)

    def pooled(self, x: Tensor) -> Tensor:
        """Features (N, C, T', H', W') before the last layer; H' = W' = 1 for clips (N, 3, T, 224, 224)."""
        x = self.Conv3d_1a_7x7(x)
        x = _max_pool(x, (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        for name in MIXED:
            if name in POOLS:
                x = _max_pool(x, *POOLS[name])
            x = self.get_submodule(name)(x)
        return functional.avg_pool3d(x, self.pool, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of clips (N, 3, T, 224, 224) with values in [-1, 1], averaged over time."""
        logits: Tensor = self.logits(self.pooled(x))
        return logits.mean(dim=(2, 3, 4))


class KineticsI3d:
    """Features of FVD: the 400 logits of every window of 16 frames, resized to 224 × 224 px (DisCo).

    Args:
        path: `i3d_pretrained_400.pt`.
        device: device of the network.
        width_divisor: divides the published widths, for tests.

    Raises:
        CheckpointError: see `load_network`.
    """

    def __init__(self, path: Path, *, device: torch.device | str = "cpu", width_divisor: int = 1) -> None:
        self.device = device
        self.network = load_network(lambda: I3d(width_divisor=width_divisor), path, device)

    @torch.inference_mode()
    def features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (N, 400) of the N = T - 15 windows of uint8 RGB frames; none of a clip of fewer than 16 frames."""
        features = [
            self.network(torch.from_numpy(batch).to(self.device)).cpu().numpy()
            for batch in windows(frames_THWC, _prepared)
        ]
        return np.concatenate(features) if features else np.empty((0, KINETICS_CLASSES), np.float32)


def _prepared(frame_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    return resized(frame_HWC, INPUT_PX) / np.float32(127.5) - np.float32(1)
