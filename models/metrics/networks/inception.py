"""Inception v3 of FID, as pytorch-fid runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.metrics.networks.layers import BatchNorm, load_network

INPUT_PX = 299
BATCH_FRAMES = 16
NUM_CLASSES = 1008
BATCH_NORM_EPS = 1e-3


class Layer(NamedTuple):
    """A convolution of a block: name, output channels, height and width of the kernel."""

    name: str
    channels: int
    height: int = 1
    width: int = 1


Chain = Sequence[tuple[Layer, ...]]
"""Successive steps of a branch. Layers of one step read the same input, and their outputs are concatenated."""


class Convolution(nn.Module):
    """Convolution without bias, batch normalisation and ReLU."""

    def __init__(self, inputs: int, layer: Layer, *, stride: int = 1, padded: bool = True) -> None:
        super().__init__()
        kernel = (layer.height, layer.width)
        padding = (layer.height // 2, layer.width // 2) if padded else (0, 0)
        self.conv = nn.Conv2d(inputs, layer.channels, kernel, stride=stride, padding=padding, bias=False)
        self.bn = BatchNorm(layer.channels, eps=BATCH_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Filter (N, C, H, W)."""
        return functional.relu(self.bn(self.conv(x)))


def _mean_pool(x: Tensor) -> Tensor:
    """3 × 3 means over the pixels inside the picture: TensorFlow's padding does not count."""
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _max_pool(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, stride=1, padding=1)


def _halving_pool(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, stride=2)


class Block(nn.Module):
    """Parallel branches, concatenated over channels; the last one is a pool.

    Args:
        inputs: input channels.
        chains: the other branches.
        pool: the pool.
        pooled: channels of the convolution behind the pool. None: there is none, and the block halves the picture: the
            last convolution of each chain has a stride of 2 and no padding.
    """

    def __init__(self, inputs: int, chains: Sequence[Chain], *, pool: Callable[[Tensor], Tensor], pooled: int | None):
        super().__init__()
        self.pool = pool
        self.names = [[[layer.name for layer in step] for step in chain] for chain in chains]
        self.channels = pooled or inputs
        for chain in chains:
            width = inputs
            for step in chain:
                halves = pooled is None and step is chain[-1]
                for layer in step:
                    convolution = Convolution(width, layer, stride=2 if halves else 1, padded=not halves)
                    self.add_module(layer.name, convolution)
                width = sum(layer.channels for layer in step)
            self.channels += width
        self.branch_pool = None if pooled is None else Convolution(inputs, Layer("branch_pool", pooled))

    def forward(self, x: Tensor) -> Tensor:
        """Filter (N, C, H, W)."""
        outputs = []
        for chain in self.names:
            y = x
            for step in chain:
                y = torch.cat([self.get_submodule(name)(y) for name in step], dim=1)
            outputs.append(y)
        y = self.pool(x)
        outputs.append(y if self.branch_pool is None else self.branch_pool(y))
        return torch.cat(outputs, dim=1)


def _chain(*layers: Layer, fork: tuple[Layer, ...] = ()) -> Chain:
    return [*((layer,) for layer in layers), *((fork,) if fork else ())]


def _block_a(inputs: int, pooled: int, d: int) -> Block:
    """Block of 35 × 35 px; `d` divides the published widths, here and below."""
    chains = [
        _chain(Layer("branch1x1", 64 // d)),
        _chain(Layer("branch5x5_1", 48 // d), Layer("branch5x5_2", 64 // d, 5, 5)),
        _chain(
            Layer("branch3x3dbl_1", 64 // d),
            Layer("branch3x3dbl_2", 96 // d, 3, 3),
            Layer("branch3x3dbl_3", 96 // d, 3, 3),
        ),
    ]
    return Block(inputs, chains, pool=_mean_pool, pooled=pooled // d)


def _block_b(inputs: int, d: int) -> Block:
    """Block from 35 × 35 to 17 × 17 px."""
    chains = [
        _chain(Layer("branch3x3", 384 // d, 3, 3)),
        _chain(
            Layer("branch3x3dbl_1", 64 // d),
            Layer("branch3x3dbl_2", 96 // d, 3, 3),
            Layer("branch3x3dbl_3", 96 // d, 3, 3),
        ),
    ]
    return Block(inputs, chains, pool=_halving_pool, pooled=None)


def _block_c(inputs: int, narrow: int, d: int) -> Block:
    """Block of 17 × 17 px."""
    n, wide = narrow // d, 192 // d
    chains = [
        _chain(Layer("branch1x1", wide)),
        _chain(Layer("branch7x7_1", n), Layer("branch7x7_2", n, 1, 7), Layer("branch7x7_3", wide, 7, 1)),
        _chain(
            Layer("branch7x7dbl_1", n),
            Layer("branch7x7dbl_2", n, 7, 1),
            Layer("branch7x7dbl_3", n, 1, 7),
            Layer("branch7x7dbl_4", n, 7, 1),
            Layer("branch7x7dbl_5", wide, 1, 7),
        ),
    ]
    return Block(inputs, chains, pool=_mean_pool, pooled=wide)


def _block_d(inputs: int, d: int) -> Block:
    """Block from 17 × 17 to 8 × 8 px."""
    chains = [
        _chain(Layer("branch3x3_1", 192 // d), Layer("branch3x3_2", 320 // d, 3, 3)),
        _chain(
            Layer("branch7x7x3_1", 192 // d),
            Layer("branch7x7x3_2", 192 // d, 1, 7),
            Layer("branch7x7x3_3", 192 // d, 7, 1),
            Layer("branch7x7x3_4", 192 // d, 3, 3),
        ),
    ]
    return Block(inputs, chains, pool=_halving_pool, pooled=None)


def _block_e(inputs: int, pool: Callable[[Tensor], Tensor], d: int) -> Block:
    """Block of 8 × 8 px."""
    wide = 384 // d
    chains = [
        _chain(Layer("branch1x1", 320 // d)),
        _chain(
            Layer("branch3x3_1", wide),
            fork=(Layer("branch3x3_2a", wide, 1, 3), Layer("branch3x3_2b", wide, 3, 1)),
        ),
        _chain(
            Layer("branch3x3dbl_1", 448 // d),
            Layer("branch3x3dbl_2", wide, 3, 3),
            fork=(Layer("branch3x3dbl_3a", wide, 1, 3), Layer("branch3x3dbl_3b", wide, 3, 1)),
        ),
    ]
    return Block(inputs, chains, pool=pool, pooled=192 // d)


class InceptionV3(nn.Module):
    """Inception v3 of Szegedy et al. 2016 (arXiv 1512.00567) with the weights and the pools of TensorFlow's model.

    It differs from torchvision's in pytorch-fid's four ways: 1008 classes, no auxiliary classifier, mean pools that do
    not count their padding, and a max pool in the last block.
    """

    def __init__(self, *, width_divisor: int = 1) -> None:
        super().__init__()
        d = width_divisor
        self.Conv2d_1a_3x3 = Convolution(3, Layer("", 32 // d, 3, 3), stride=2, padded=False)
        self.Conv2d_2a_3x3 = Convolution(32 // d, Layer("", 32 // d, 3, 3), padded=False)
        self.Conv2d_2b_3x3 = Convolution(32 // d, Layer("", 64 // d, 3, 3))
        self.Conv2d_3b_1x1 = Convolution(64 // d, Layer("", 80 // d))
        self.Conv2d_4a_3x3 = Convolution(80 // d, Layer("", 192 // d, 3, 3), padded=False)
        self.Mixed_5b = _block_a(192 // d, 32, d)
        self.Mixed_5c = _block_a(self.Mixed_5b.channels, 64, d)
        self.Mixed_5d = _block_a(self.Mixed_5c.channels, 64, d)
        self.Mixed_6a = _block_b(self.Mixed_5d.channels, d)
        self.Mixed_6b = _block_c(self.Mixed_6a.channels, 128, d)
        self.Mixed_6c = _block_c(self.Mixed_6b.channels, 160, d)
        self.Mixed_6d = _block_c(self.Mixed_6c.channels, 160, d)
        self.Mixed_6e = _block_c(self.Mixed_6d.channels, 192, d)
        self.Mixed_7a = _block_d(self.Mixed_6e.channels, d)
        self.Mixed_7b = _block_e(self.Mixed_7a.channels, _mean_pool, d)
        self.Mixed_7c = _block_e(self.Mixed_7b.channels, _max_pool, d)
        self.fc = nn.Linear(self.Mixed_7c.channels, NUM_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features (N, 2048) of pictures (N, 3, 299, 299) with values in [-1, 1]."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = _halving_pool(x)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = _halving_pool(x)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean(dim=(2, 3))


class FidInception:
    """Features of FID: one of 2048 values per frame.

    Frames become values in [0, 1], are resized bilinearly without antialiasing to 299 × 299 px, and scaled to [-1, 1],
    as by `python -m pytorch_fid`, which DisCo runs on the frames of all videos.

    Args:
        path: `pt_inception-2015-12-05-6726825d.pth`.
        device: device of the network.
        width_divisor: divides the published widths, for tests.

    Raises:
        CheckpointError: see `load_network`.
    """

    def __init__(self, path: Path, *, device: torch.device | str = "cpu", width_divisor: int = 1) -> None:
        self.device = device
        self.network = load_network(lambda: InceptionV3(width_divisor=width_divisor), path, device)

    @torch.inference_mode()
    def features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (T, 2048) of uint8 RGB frames."""
        features = np.empty((len(frames_THWC), self.network.Mixed_7c.channels), np.float32)
        for start in range(0, len(frames_THWC), BATCH_FRAMES):
            batch = slice(start, start + BATCH_FRAMES)
            images = torch.from_numpy(np.ascontiguousarray(frames_THWC[batch])).to(self.device)
            images = images.permute(0, 3, 1, 2).float() / 255
            images = functional.interpolate(images, (INPUT_PX, INPUT_PX), mode="bilinear", align_corners=False)
            features[batch] = self.network(2 * images - 1).cpu().numpy()
        return features
