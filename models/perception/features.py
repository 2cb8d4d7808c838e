"""Features of frames for training and conditioning: CLIP image embeddings and VAE latents, in half precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.appearance.image_encoder import ImageEncoder
from models.appearance.vae import Vae, to_images

BATCH_FRAMES = 8
STORED = np.dtype("<f2")
"""Values as they are stored: little-endian half precision."""

Interpolation = Literal["bilinear", "bicubic"]


class ClipEmbeddings:
    """CLIP's embedding of each frame.

    The whole frame is squeezed into the encoder's square, whatever its shape, without a crop: what the public pipelines
    do. They resize 8-bit pictures with antialiasing, and round.

    Args:
        interpolation: bicubic as in Moore-AnimateAnyone, or bilinear as in Animate-X.
    """

    def __init__(
        self, encoder: ImageEncoder, *, interpolation: Interpolation, device: torch.device | str = "cpu"
    ) -> None:
        self.encoder = encoder.to(device)
        self.interpolation = interpolation
        self.device = device

    @torch.inference_mode()
    def __call__(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float16]:
        """(T, D) of frames (T, H, W, 3) uint8 RGB."""
        return _in_batches(lambda frames: self.encoder(to_images(self.squares(frames)).to(self.device)), frames_THWC)

    def squares(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(T, S, S, 3): the frames at the size that the encoder sees."""
        side: int = self.encoder.network.config.image_size  # type: ignore[assignment]
        images = torch.from_numpy(np.ascontiguousarray(frames_THWC)).permute(0, 3, 1, 2)
        resized = functional.interpolate(images, (side, side), mode=self.interpolation, antialias=True)
        squares: NDArray[np.uint8] = resized.permute(0, 2, 3, 1).numpy()
        return squares


class VaeLatents:
    """A VAE's latents of each frame: means, of unit variance."""

    def __init__(self, vae: Vae, *, device: torch.device | str = "cpu") -> None:
        self.vae = vae.to(device)
        self.device = device

    @torch.inference_mode()
    def __call__(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float16]:
        """(T, C, H / 8, W / 8) of frames (T, H, W, 3) uint8 RGB.

        Raises:
            ValueError: a side is no multiple of 8.
        """
        return _in_batches(lambda frames: self.vae.encode(to_images(frames).to(self.device)), frames_THWC)


def pack(features_T: NDArray[np.float16]) -> tuple[list[bytes], list[int]]:
    """Features (T, …) as one string of bytes per frame, and the shape of a frame's features: what rows hold."""
    return [np.ascontiguousarray(frame, STORED).tobytes() for frame in features_T], list(features_T.shape[1:])


def unpack(packed_T: Sequence[bytes], shape: Sequence[int]) -> NDArray[np.float16]:
    """The inverse of `pack`.

    Raises:
        ValueError: a frame has another number of values than the shape.
    """
    expected = STORED.itemsize * int(np.prod(shape, dtype=np.int64))
    if wrong := [len(frame) for frame in packed_T if len(frame) != expected]:
        raise ValueError(f"features of shape {tuple(shape)} have {expected} bytes in a frame, got {wrong[0]}")
    values = np.frombuffer(b"".join(packed_T), STORED).reshape(len(packed_T), *shape)
    return values.astype(np.float16, copy=False)


def _in_batches(encode: Callable[[NDArray[np.uint8]], Tensor], frames_THWC: NDArray[np.uint8]) -> NDArray[np.float16]:
    batches = [
        encode(frames_THWC[start : start + BATCH_FRAMES]).half().cpu().numpy()
        for start in range(0, len(frames_THWC), BATCH_FRAMES)
    ]
    features: NDArray[np.float16] = np.concatenate(batches)
    return features
