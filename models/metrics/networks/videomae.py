"""VideoMAE V2 features of clips, for the content-debiased FVD."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.metrics.networks.frames import consecutive_windows, to_tensor
from models.metrics.networks.layers import load_network
from models.metrics.networks.vit import ClipTransformer, VitConfig, joined_biases

VIDEOMAE_VIT_G = VitConfig(
    width=1408, depth=40, num_heads=16, mlp_width=6144, patch_px=14, num_frames=16, tubelet_frames=2
)
SOMETHING_SOMETHING_CLASSES = 174


class VideoMae:
    """VideoMAE V2 ViT-g fine-tuned on Something-Something v2, with the transform of cd-fvd: frames squeezed to 224 ×
    224, bilinear without antialiasing, values 0 to 1.
    """

    def __init__(self, path: Path, *, device: str = "cpu", config: VitConfig = VIDEOMAE_VIT_G) -> None:
        """Load the published file.

        Raises:
            CheckpointError: the file is absent, damaged, or of another network.
        """
        self.network = load_network(
            lambda: ClipTransformer(config, num_classes=SOMETHING_SOMETHING_CLASSES),
            path,
            device,
            renamed=joined_biases,
        )
        self.device = device

    @torch.inference_mode()
    def features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (N, D) of consecutive windows of 16 uint8 RGB frames; N is 0 for a shorter clip."""
        config = self.network.config
        size = (config.side_px, config.side_px)
        features = np.empty((len(frames_THWC) // config.num_frames, config.width), np.float32)
        for index, window in enumerate(consecutive_windows(frames_THWC, config.num_frames)):
            pixels = functional.interpolate(to_tensor(window, self.device) / 255, size=size, mode="bilinear")
            features[index] = self.network(pixels.movedim(0, 1)[None])[0].cpu().numpy()
        return features
