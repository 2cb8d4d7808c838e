"""The mask of a clip's character."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.masks.rle import encode
from models.perception.embedded import EmbeddedFigure, embedded_weights
from stages.base import Row, Stage


class CharacterMaskBackend(Protocol):
    """What masks the character."""

    def character_mask(self, frames_THWC: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(T, H, W) bool."""


BACKENDS: Mapping[str, Callable[[], CharacterMaskBackend]] = MappingProxyType({"embedded": EmbeddedFigure})
"""Backend name -> what loads it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CharacterMaskConfig:
    """`backend`: a key of `BACKENDS`."""

    backend: str = "embedded"

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"unknown character mask backend '{self.backend}', expected one of {sorted(BACKENDS)}")


class CharacterMaskStage(Stage[CharacterMaskConfig]):
    """Frames and keypoints to one COCO run-length code per frame, at the working size."""

    name = "character_mask"
    reads = frozenset({"frames", "keypoints"})
    writes = frozenset({"character_mask"})

    def weights(self) -> Mapping[str, str]:
        """Digest of the checkpoint."""
        return embedded_weights("character-mask")

    def open(self) -> None:
        """Load the network."""
        self.backend = BACKENDS[self.config.backend]()

    def process(self, row: Row) -> Row:
        """`character_mask` of `frames`."""
        return {"character_mask": encode(self.backend.character_mask(row["frames"], row["keypoints"]))}
