"""3D ResNet-50 trained on Kinetics, whose features FID-VID compares."""

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

INPUT_PX = 112
MEAN = np.array([114.7748, 107.7354, 99.4750])
"""Mean RGB level of Kinetics; levels are not scaled."""
BLOCKS = (3, 4, 6, 3)
EXPANSION = 4
BATCH_NORM_EPS = 1e-5
NUM_CLASSES = 400


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)


def _norm(channels: int) -> BatchNorm:
    return BatchNorm(channels, eps=BATCH_NORM_EPS)


class Bottleneck(nn.Module):
    """Residual block of three convolutions; `stride` is that of the middle one."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = _convolution(inputs, width, 1)
        self.bn1 = _norm(width)
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = _norm(width)
        self.conv3 = _convolution(width, outputs, 1)
        self.bn3 = _norm(outputs)
        self.downsample = (
            nn.Sequential(_convolution(inputs, outputs, 1, stride), _norm(outputs))
            if stride != 1 or inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Filter (N, C, T, H, W)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet3d(nn.Module):
    """3D ResNet with bottlenecks and projection shortcuts, of Hara et al. 2018 (arXiv 1711.09577).

    Args:
        blocks: number of blocks of each layer.
        width_divisor: divides the published widths, for tests.
    """

    def __init__(self, *, blocks: Sequence[int] = BLOCKS, width_divisor: int = 1) -> None:
        super().__init__()
        width = 64 // width_divisor
        self.conv1 = nn.Conv3d(3, width, 7, stride=(1, 2, 2), padding=3, bias=False)
        self.bn1 = _norm(width)
        inputs = width
        for index, num_blocks in enumerate(blocks):
            strides = [1 if index == 0 else 2] + [1] * (num_blocks - 1)
            layer = nn.Sequential()
            for stride in strides:
                layer.append(Bottleneck(inputs, width << index, stride))
                inputs = (width << index) * EXPANSION
            self.add_module(f"layer{index + 1}", layer)
        self.num_features = inputs
        self.fc = nn.Linear(inputs, NUM_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, 2048) before the classifier of windows (N, 3, 16, 112, 112)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool3d(x, 3, stride=2, padding=1)
        for name, layer in self.named_children():
            if name.startswith("layer"):
                x = layer(x)
        return x.mean(dim=(2, 3, 4))


class KineticsResNet:
    """Features of FID-VID: one of 2048 values per window of 16 frames, resized to 112 × 112 px (DisCo).

    Args:
        path: `resnet-50-kinetics.pth`.
        device: device of the network.
        blocks, width_divisor: smaller networks, for tests.

    Raises:
        CheckpointError: see `load_network`.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: torch.device | str = "cpu",
        blocks: Sequence[int] = BLOCKS,
        width_divisor: int = 1,
    ) -> None:
        self.device = device
        self.network = load_network(lambda: ResNet3d(blocks=blocks, width_divisor=width_divisor), path, device)

    @torch.inference_mode()
    def features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (N, 2048) of the N = T - 15 windows of uint8 RGB frames; none of a clip of fewer than 16 frames."""
        features = [
            self.network(torch.from_numpy(batch).to(self.device)).cpu().numpy()
            for batch in windows(frames_THWC, _prepared)
        ]
        return np.concatenate(features) if features else np.empty((0, self.network.num_features), np.float32)


def _prepared(frame_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    # In float64, as DisCo subtracts them.
    prepared: NDArray[np.float32] = (resized(frame_HWC, INPUT_PX) - MEAN).astype(np.float32)
    return prepared
