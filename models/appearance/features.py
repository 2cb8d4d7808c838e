"""Features of frames for training and conditioning: CLIP image embeddings and VAE latents, in half precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.appearance.image_encoder import ImageEncoder
from models.appearance.vae import Vae, to_images
from models.finite import check_finite

BATCH_FRAMES = 8


class ClipEmbeddings:
    """CLIP image embedding of each frame, equal to the one computed by networks that read the frame itself."""

    def __init__(self, encoder: ImageEncoder, *, device: torch.device | str = "cpu") -> None:
        self.encoder = encoder.to(device)
        self.device = device

    @torch.inference_mode()
    def __call__(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Embeddings (T, D) of frames (T, H, W, 3) uint8 RGB."""
        return _in_batches(lambda frames: self.encoder(to_images(frames).to(self.device)), frames_THWC)


class VaeLatents:
    """VAE latents of each frame: distribution means, scaled to unit variance."""

    def __init__(self, vae: Vae, *, device: torch.device | str = "cpu") -> None:
        self.vae = vae.to(device)
        self.device = device

    @torch.inference_mode()
    def __call__(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Latents (T, C, H / 8, W / 8) of frames (T, H, W, 3) uint8 RGB.

        Raises:
            ValueError: height or width is not a multiple of 8.
        """
        return _in_batches(lambda frames: self.vae.encode(to_images(frames).to(self.device)), frames_THWC)


def _in_batches(encode: Callable[[NDArray[np.uint8]], Tensor], frames_THWC: NDArray[np.uint8]) -> NDArray[np.float16]:
    batches = [
        encode(frames_THWC[start : start + BATCH_FRAMES]).half().cpu().numpy()
        for start in range(0, len(frames_THWC), BATCH_FRAMES)
    ]
    features: NDArray[np.float16] = np.concatenate(batches)
    check_finite(features, "features of the frames in half precision")
    return features
