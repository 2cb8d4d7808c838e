"""CLIP features of frames, for background consistency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.appearance.image_encoder import published_image_encoder
from models.metrics.networks.frames import batched, centre_square, shorter_side


class Clip:
    """CLIP image embeddings of centre squares, with the transform of VBench: shorter side 224, bicubic without
    antialiasing.
    """

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        """Load CLIP's published folder.

        Raises:
            CheckpointError: the folder is absent or incomplete.
        """
        self.encoder = published_image_encoder(folder).to(device)
        self.device = device

    def features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings (T, D) of uint8 RGB frames."""
        return batched(self._features, frames_THWC, self.device)

    @torch.inference_mode()
    def _features(self, frames_N3HW: Tensor) -> Tensor:
        side_px = self.encoder.side_px
        square = centre_square(shorter_side(frames_N3HW, side_px, mode="bicubic"), side_px)
        pixels = self.encoder.normalised(square / 127.5 - 1)
        embeddings: Tensor = self.encoder.network(pixel_values=pixels).image_embeds
        return embeddings
