"""Relative depth of a clip's frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.perception.embedded import EmbeddedFigure, embedded_weights
from stages.base import Row, Stage


class DepthBackend(Protocol):
    """What estimates depth."""

    def depth(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(T, H, W), near is small, one scale for the whole clip."""


BACKENDS: Mapping[str, Callable[[], DepthBackend]] = MappingProxyType({"embedded": EmbeddedFigure})
"""Backend name -> what loads it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthConfig:
    """`backend`: a key of `BACKENDS`."""

    backend: str = "embedded"

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"unknown depth backend '{self.backend}', expected one of {sorted(BACKENDS)}")


class DepthStage(Stage[DepthConfig]):
    """Frames to depth (T, H, W) float32, near is small; it lives in memory only, `structured depth` is what is kept."""

    name = "depth"
    reads = frozenset({"frames"})
    writes = frozenset({"depth"})
    transient = frozenset({"depth"})

    def weights(self) -> Mapping[str, str]:
        """Digest of the checkpoint."""
        return embedded_weights("depth")

    def open(self) -> None:
        """Load the network."""
        self.backend = BACKENDS[self.config.backend]()

    def process(self, row: Row) -> Row:
        """`depth` of `frames`."""
        return {"depth": self.backend.depth(row["frames"])}
