"""Whole-body keypoints of a clip's character."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.perception.embedded import EmbeddedFigure, embedded_weights
from stages.base import Row, Stage


class PoseBackend(Protocol):
    """What finds keypoints."""

    def keypoints(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(T, 133, 3): x, y in pixels of the frames, score 0–1."""


BACKENDS: Mapping[str, Callable[[], PoseBackend]] = MappingProxyType({"embedded": EmbeddedFigure})
"""Backend name -> what loads it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseConfig:
    """`backend`: a key of `BACKENDS`."""

    backend: str = "embedded"

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"unknown pose backend '{self.backend}', expected one of {sorted(BACKENDS)}")


class PoseStage(Stage[PoseConfig]):
    """Frames to keypoints (T, 133, 3) float32 in working-size pixels; a keypoint that is not there scores near 0."""

    name = "pose"
    reads = frozenset({"frames"})
    writes = frozenset({"keypoints"})

    def weights(self) -> Mapping[str, str]:
        """Digest of the checkpoint."""
        return embedded_weights("pose")

    def open(self) -> None:
        """Load the network."""
        self.backend = BACKENDS[self.config.backend]()

    def process(self, row: Row) -> Row:
        """`keypoints` of `frames`."""
        return {"keypoints": self.backend.keypoints(row["frames"])}
