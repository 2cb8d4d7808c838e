"""What frozen networks make of pictures: stored by `prepare`, or computed once for each picture that comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.appearance.vae import to_images
from models.pose.limb_warp import LimbWarp
from models.training.batch import PictureKey, SampleBatch


class Encodings:
    """Encodings of one kind.

    Args:
        encode: images (N, 3, H, W) with values −1 to 1, on `device`, to (N, …).
        keep_bytes: memory for encodings of pictures that may come again; what no longer fits is computed every time.
            Pictures are then encoded one by one, so that what is kept does not depend on which came together.
    """

    def __init__(self, encode: Callable[[Tensor], Tensor], *, device: torch.device, keep_bytes: int = 0) -> None:
        self._encode = encode
        self._device = device
        self._room_bytes = keep_bytes
        self._one_by_one = keep_bytes > 0
        self._kept: dict[PictureKey, Tensor] = {}

    def targets(self, batch: SampleBatch, stored_BG: NDArray[np.float16] | None) -> Tensor:
        """(B · F, …) of the batch's targets. `stored_BG`: of its references and targets, where the batch has them."""
        if stored_BG is not None:
            return self._moved(stored_BG[:, 1:]).flatten(0, 1)
        assert batch.targets_BFHWC is not None
        return self(batch.targets_BFHWC.reshape(-1, *batch.targets_BFHWC.shape[2:]), batch.target_keys)

    def references(self, batch: SampleBatch, stored_BG: NDArray[np.float16] | None) -> Tensor:
        """(B, …) of the batch's references. `stored_BG`: as for `targets`."""
        if stored_BG is not None:
            return self._moved(stored_BG[:, 0])
        assert batch.references_BHWC is not None
        return self(batch.references_BHWC, batch.reference_keys)

    def _moved(self, stored: NDArray[np.float16]) -> Tensor:
        return torch.from_numpy(stored).to(self._device).float()

    @torch.no_grad()
    def __call__(self, pictures_NHWC: NDArray[np.uint8], keys: Sequence[PictureKey]) -> Tensor:
        """(N, …) of uint8 pictures that `keys` name."""
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


def drawings(pictures: NDArray[np.uint8], device: torch.device) -> Tensor:
    """(…, 3, H, W) float32 with values 0–1 of uint8 pictures (…, H, W, 3)."""
    return torch.from_numpy(pictures).to(device).movedim(-1, -3).float() / 255


@torch.no_grad()
def warped_latents(batch: SampleBatch, encode: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
    """(B, C, F, h, w), latents of each reference moved limb by limb into the poses that its skeletons draw.

    `encode`: as for `Encodings`.
    """
    # Decoded whatever else is stored.
    assert batch.references_BHWC is not None
    rows = zip(batch.references_BHWC, batch.keypoints_BGK3[:, 0], batch.pose_keypoints_BFK3, strict=True)
    warped = [LimbWarp(reference, keypoints)(poses) for reference, keypoints, poses in rows]
    latents = encode(to_images(np.concatenate(warped)).to(device))
    return latents.reshape(*batch.target_frames_BF.shape, *latents.shape[1:]).transpose(1, 2)
