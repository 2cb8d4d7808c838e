"""Stage `depth`: relative depth of each frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stages.backends.base import PEOPLE, BackendConfig, BackendStage
from stages.backends.perception import DEPTH, DepthBackend
from stages.base import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthConfig(BackendConfig):
    """`backend`: embedded, people, sapiens or depth-anything."""

    backend: str = PEOPLE
    signal: ClassVar = "depth"
    backends: ClassVar = DEPTH


class DepthStage(BackendStage[DepthConfig, DepthBackend]):
    """Estimates relative depth (T, H, W) float32, small values near. Transient: `structured_depth` stores a part."""

    name = "depth"
    reads = frozenset({"frames"})
    writes = frozenset({"depth"})
    transient = frozenset({"depth"})

    def process(self, row: Row) -> Row:
        """Computes `depth`."""
        return {"depth": self.backend.depth(row["frames"])}
