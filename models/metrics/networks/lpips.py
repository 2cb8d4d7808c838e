"""LPIPS 0.1 with VGG-16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.metrics.networks.layers import load_network

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of VGG-16's convolutions; a max pool separates the stages. LPIPS compares the last outputs of each."""
CLASSIFIER_INPUT_PX, CLASSIFIER_WIDTH, NUM_CLASSES = 7, 4096, 1000
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's normalisation of values in [-1, 1]."""
EPS = 1e-10
BATCH_PIXELS = 2**19


class Vgg16(nn.Module):
    """VGG-16 of Simonyan and Zisserman 2015 (arXiv 1409.1556), with torchvision's keys.

    `width_divisor` divides the published widths, for tests.
    """

    def __init__(self, *, width_divisor: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential()
        channels = 3
        for stage in STAGES:
            for width in stage:
                outputs = width // width_divisor
                self.features.extend([nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU()])
                channels = outputs
            self.features.append(nn.MaxPool2d(2))
        # Never run: it is here because a file without its tensors is not the published one.
        hidden = CLASSIFIER_WIDTH // width_divisor
        sizes = (channels * CLASSIFIER_INPUT_PX**2, hidden, hidden, NUM_CLASSES)
        self.classifier = nn.ModuleDict(
            {name: nn.Linear(sizes[i], sizes[i + 1]) for i, name in enumerate(("0", "3", "6"))}
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Outputs of each stage, (N, C, H, W)."""
        outputs = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                outputs.append(x)
                if len(outputs) == len(STAGES):
                    break
            x = layer(x)
        return outputs


class Heads(nn.Module):
    """Weights of the channels of each stage, with the keys of `weights/v0.1/vgg.pth`."""

    def __init__(self, *, width_divisor: int = 1) -> None:
        super().__init__()
        for index, stage in enumerate(STAGES):
            head = nn.Module()
            head.model = nn.ModuleDict({"1": nn.Conv2d(stage[-1] // width_divisor, 1, 1, bias=False)})
            self.add_module(f"lin{index}", head)

    def forward(self, differences: Sequence[Tensor]) -> Tensor:
        """Distances (N) from squared differences (N, C, H, W) of each stage."""
        heads = [self.get_submodule(f"lin{index}.model.1") for index in range(len(STAGES))]
        means = [head(difference).mean(dim=(1, 2, 3)) for head, difference in zip(heads, differences, strict=True)]
        return torch.stack(means).sum(dim=0)


class Lpips:
    """LPIPS of frames, of Zhang et al. 2018 (arXiv 1801.03924), as the package `lpips` computes it.

    Args:
        vgg: torchvision's `vgg16-397923af.pth`.
        heads: LPIPS's `weights/v0.1/vgg.pth`.
        device: device of the network.
        width_divisor: divides the published widths, for tests.

    Raises:
        CheckpointError: see `load_network`.
    """

    min_size_px = 2 ** (len(STAGES) - 1)
    """Smallest height and width of frames: the network halves them four times."""

    def __init__(self, vgg: Path, heads: Path, *, device: torch.device | str = "cpu", width_divisor: int = 1) -> None:
        self.device = device
        self.network = load_network(lambda: Vgg16(width_divisor=width_divisor), vgg, "cpu")
        del self.network.classifier
        self.network.to(device)
        self.heads = load_network(lambda: Heads(width_divisor=width_divisor), heads, device)
        self.shift = torch.tensor(SHIFT, device=device)[:, None, None]
        self.scale = torch.tensor(SCALE, device=device)[:, None, None]

    @torch.inference_mode()
    def distances(
        self, animation_THWC: NDArray[np.uint8], truth_THWC: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Distances (T) between uint8 RGB frames, twice: of values in [0, 1], as DisCo feeds them, and in [-1, 1].

        Raises:
            ValueError: the clips differ in shape, or frames are smaller than `min_size_px`.
        """
        if animation_THWC.shape != truth_THWC.shape:
            raise ValueError(f"frames of shape {animation_THWC.shape} cannot be compared with {truth_THWC.shape}")
        num_frames, height_px, width_px = animation_THWC.shape[:3]
        if min(height_px, width_px) < self.min_size_px:
            raise ValueError(
                f"frames of {width_px} × {height_px} px are too small for LPIPS, which needs {self.min_size_px} px; "
                "leave it out, or compare larger frames"
            )
        disco, standard = np.empty(num_frames, np.float32), np.empty(num_frames, np.float32)
        step = max(BATCH_PIXELS // (height_px * width_px), 1)
        for start in range(0, num_frames, step):
            batch = slice(start, start + step)
            pair = self._values(animation_THWC[batch]), self._values(truth_THWC[batch])
            disco[batch] = self._distances(*pair)
            standard[batch] = self._distances(*(2 * values - 1 for values in pair))
        return disco, standard

    def _values(self, frames_THWC: NDArray[np.uint8]) -> Tensor:
        frames = torch.from_numpy(np.ascontiguousarray(frames_THWC)).to(self.device)
        return frames.permute(0, 3, 1, 2).float() / 255

    def _distances(self, animation: Tensor, truth: Tensor) -> NDArray[np.float32]:
        sides = [self.network((values - self.shift) / self.scale) for values in (animation, truth)]
        differences = [(_unit(a) - _unit(b)) ** 2 for a, b in zip(*sides, strict=True)]
        distances: NDArray[np.float32] = self.heads(differences).cpu().numpy()
        return distances


def _unit(features: Tensor) -> Tensor:
    """Divide the features (N, C, H, W) of each pixel by their norm."""
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + EPS)
