"""Relative depth of a clip's frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stages.backends.base import BackendConfig, BackendStage
from stages.backends.perception import DEPTH, DepthBackend
from stages.base import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthConfig(BackendConfig):
    """`backend`: embedded, sapiens or depth-anything."""

    signal: ClassVar = "depth"
    backends: ClassVar = DEPTH


class DepthStage(BackendStage[DepthConfig, DepthBackend]):
    """Frames to depth (T, H, W) float32, near is small; it lives in memory only, `structured depth` is what is kept."""

    name = "depth"
    reads = frozenset({"frames"})
    writes = frozenset({"depth"})
    transient = frozenset({"depth"})

    def process(self, row: Row) -> Row:
        """`depth` of `frames`."""
        return {"depth": self.backend.depth(row["frames"])}
