"""DINO features of frames, for subject consistency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.metrics.networks.frames import batched, shorter_side
from models.metrics.networks.layers import load_network
from models.metrics.networks.vit import ImageTransformer, VitConfig

DINO_VIT_B16 = VitConfig(width=768, depth=12, num_heads=12, mlp_width=3072, patch_px=16)
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class Dino:
    """DINO ViT-B/16 with the transform of VBench: shorter side 224, bilinear without antialiasing, no crop."""

    def __init__(self, path: Path, *, device: str = "cpu", config: VitConfig = DINO_VIT_B16) -> None:
        """Load the published backbone.

        Raises:
            CheckpointError: the file is absent, damaged, or of another network.
        """
        self.network = load_network(lambda: ImageTransformer(config), path, device)
        self.device = device
        self.mean, self.deviation = (torch.tensor(values, device=device)[:, None, None] for values in (MEAN, DEVIATION))

    def features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class tokens (T, D) of uint8 RGB frames."""
        return batched(self._features, frames_THWC, self.device)

    @torch.inference_mode()
    def _features(self, frames_N3HW: Tensor) -> Tensor:
        resized = shorter_side(frames_N3HW, self.network.config.side_px, mode="bilinear")
        features: Tensor = self.network((resized / 255 - self.mean) / self.deviation)
        return features
