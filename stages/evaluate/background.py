"""Stage of background consistency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.metrics.consistency import consistency, is_elongated
from stages.backends.base import BackendConfig, BackendStage
from stages.backends.features import BACKGROUND, ImageFeatureNetwork
from stages.base import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class BackgroundConfig(BackendConfig):
    """Weights of CLIP."""

    backend: str = "background"

    signal: ClassVar = "background consistency"
    backends: ClassVar = BACKGROUND


class BackgroundStage(BackendStage[BackgroundConfig, ImageFeatureNetwork]):
    """Background consistency of both clips; None for a single frame, and for elongated frames."""

    name = "background"
    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames"})
    writes: ClassVar[frozenset[str]] = frozenset({"background_consistency", "background_consistency_truth"})

    def process(self, row: Row) -> Row:
        """The measures of the row's pair."""
        if is_elongated(row["animation_frames"]):
            return dict.fromkeys(self.writes)
        return {
            "background_consistency": consistency(self.backend.features(row["animation_frames"])),
            "background_consistency_truth": consistency(self.backend.features(row["truth_frames"])),
        }
