"""Conditions of X-Dyna's clips, and control pictures as its ControlNets read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BODY, FACE = 0, 1
"""Places in `CONTROLS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConditions:
    """Encoded inputs of B clips of F frames.

    `image_tokens_BLD`: tokens of the references. `blank_tokens_1LD`: those of no picture, for rows without conditions.
    `text_tokens_1LD`: of the empty text; one token of zeros without a text encoder.
    `reference_latents_BCHW`: VAE latents of the references.
    `poses_BFHWC`, `face_BFHWC`: uint8 skeleton drawings and `FACE_CONTROL`, which ControlNets read window by window.
      The latter is None for a network without S-Face ControlNet.
    `controls_B2`: bool, `CONTROLS`.
    """

    image_tokens_BLD: Tensor
    blank_tokens_1LD: Tensor
    text_tokens_1LD: Tensor
    reference_latents_BCHW: Tensor
    poses_BFHWC: NDArray[np.uint8]
    face_BFHWC: NDArray[np.uint8] | None
    controls_B2: NDArray[np.bool_]


class ControlPictures:
    """Control pictures of B clips as images with values 0–1.

    Values are stretched from the darkest to the brightest of the whole clip, in every three channels apart, as in the
    public code. Where a clip is blank they stay 0; the public code divides by zero.
    """

    def __init__(self, pictures_BFHWC: NDArray[np.uint8]) -> None:
        self._pictures = pictures_BFHWC
        clips, channels = len(pictures_BFHWC), pictures_BFHWC.shape[-1]
        grouped = pictures_BFHWC.reshape(clips, -1, channels // 3, 3)
        low, high = (
            torch.from_numpy(bound.astype(np.float32)).repeat_interleave(3, 1)[:, None, :, None, None]
            for bound in (grouped.min((1, 3)), grouped.max((1, 3)))
        )
        self._low = low
        self._scale = torch.where(high > low, 1 / (high - low), 0)

    def images(self, frames: Sequence[int], *, device: torch.device, dtype: torch.dtype) -> Tensor:
        """(B, n, C, H, W) of some frames."""
        pictures = torch.from_numpy(np.ascontiguousarray(self._pictures[:, list(frames)])).to(device).movedim(-1, -3)
        return ((pictures.float() - self._low.to(device)) * self._scale.to(device)).to(dtype)
