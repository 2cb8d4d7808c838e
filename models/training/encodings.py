"""Encodings of pictures by frozen networks, read from the dataset or computed and cached."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.appearance.vae import to_images
from models.training.batch import PictureKey, SampleBatch


class Encodings:
    """Cache around one frozen encoder.

    Args:
        encode: images (N, 3, H, W) with values −1 to 1, on `device`, to (N, …).
        keep_bytes: size of the cache; encodings that do not fit are computed every time. 0: no cache. With a cache,
            pictures are encoded one at a time, so that an encoding does not depend on its batch.
    """

    def __init__(self, encode: Callable[[Tensor], Tensor], *, device: torch.device, keep_bytes: int = 0) -> None:
        self._encode = encode
        self._device = device
        self._room_bytes = keep_bytes
        self._one_by_one = keep_bytes > 0
        self._kept: dict[PictureKey, Tensor] = {}

    def targets(self, batch: SampleBatch, stored_BG: NDArray[np.float16] | None) -> Tensor:
        """Encodings (B · F, …) of the targets. `stored_BG`: stored encodings of reference and targets, if the batch
        has any.
        """
        if stored_BG is not None:
            return self._on_device(stored_BG[:, 1:]).flatten(0, 1)
        assert batch.targets_BFHWC is not None
        return self(batch.targets_BFHWC.reshape(-1, *batch.targets_BFHWC.shape[2:]), batch.target_keys)

    def references(self, batch: SampleBatch, stored_BG: NDArray[np.float16] | None) -> Tensor:
        """Encodings (B, …) of the references. `stored_BG`: as for `targets`.

        Raises:
            ValueError: there are neither encodings nor pictures.
        """
        if stored_BG is not None:
            return self._on_device(stored_BG[:, 0])
        if batch.references_BHWC is None:
            raise ValueError("the network reads reference pictures, and the clips have none")
        return self(batch.references_BHWC, batch.reference_keys)

    def _on_device(self, stored: NDArray[np.float16]) -> Tensor:
        return torch.from_numpy(stored).to(self._device).float()

    @torch.no_grad()
    def __call__(self, pictures_NHWC: NDArray[np.uint8], keys: Sequence[PictureKey]) -> Tensor:
        """Encodings (N, …) of uint8 pictures with the given cache keys."""
        if not self._one_by_one:
            return self._encode(to_images(pictures_NHWC).to(self._device))
        return torch.cat([self._one(picture[None], key) for picture, key in zip(pictures_NHWC, keys, strict=True)])

    def _one(self, picture_1HWC: NDArray[np.uint8], key: PictureKey) -> Tensor:
        if key in self._kept:
            return self._kept[key]
        encoding = self._encode(to_images(picture_1HWC).to(self._device))
        if encoding.nbytes <= self._room_bytes:
            self._kept[key] = encoding
            self._room_bytes -= encoding.nbytes
        return encoding
