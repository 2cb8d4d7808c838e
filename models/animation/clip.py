"""Clips as the systems' networks read them, for inference and training alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipBatch:
    """B clips of F frames.

    `references_BHWC`: uint8 RGB; None where encodings stored in the dataset stand for them.
    `poses_BFHWC`: uint8 RGB skeleton drawings, one per frame.
    `signals`: name (see `models.animation.signals`) to an array (B, …).
    """

    poses_BFHWC: NDArray[np.uint8]
    references_BHWC: NDArray[np.uint8] | None = None
    signals: Mapping[str, NDArray[Any]]

    @property
    def pictures_BHWC(self) -> NDArray[np.uint8]:  # noqa: N802  (B, H, W, C)
        """The references.

        Raises:
            ValueError: there are none.
        """
        if self.references_BHWC is None:
            raise ValueError("the network reads reference pictures, and the clips have none")
        return self.references_BHWC

    def signal(self, name: str) -> NDArray[Any]:
        """(B, …) a signal.

        Raises:
            ValueError: the clips lack it.
        """
        if name not in self.signals:
            raise ValueError(f"the network reads the signal {name}, got {sorted(self.signals)}")
        return self.signals[name]


class ClipEncoder(Protocol):
    """The frozen encoders applied to a `ClipBatch`: computed, cached, or read from the dataset.

    `text_tokens_1LD`: tokens of the empty text; None where the encoders include no text encoder.
    """

    device: torch.device
    dtype: torch.dtype
    text_tokens_1LD: Tensor | None

    def reference_latents(self) -> Tensor:
        """(B, C, h, w) VAE latents of the references."""
        ...

    def reference_embeds(self) -> Tensor:
        """(B, E) image embeddings of the references."""
        ...

    def image_tokens(self) -> Tensor:
        """(B, L, D) image tokens of the references."""
        ...

    def blank_image_tokens(self) -> Tensor:
        """(1, L, D) image tokens of no picture, for rows without conditions."""
        ...

    def driving_embeds(self) -> Tensor:
        """(B, F, E) image embeddings of the driving frames."""
        ...

    def latents(self, pictures_NHWC: NDArray[np.uint8], /) -> Tensor:
        """(N, C, h, w) VAE latents of other pictures."""
        ...


def unit_images(pictures: NDArray[np.uint8], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 (…, H, W, 3) to (…, 3, H, W) with values 0–1."""
    images = torch.from_numpy(np.ascontiguousarray(pictures)).to(device)
    return (images.movedim(-1, -3).float() / 255).to(dtype)
