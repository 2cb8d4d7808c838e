"""Stage of subject consistency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.metrics.consistency import consistency, identity_drift, is_elongated
from stages.backends.base import BackendConfig, BackendStage
from stages.backends.features import SUBJECT, ImageFeatureNetwork
from stages.base import Row
from stages.evaluate.values import value_or_none


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectConfig(BackendConfig):
    """Weights of DINO."""

    backend: str = "subject"

    signal: ClassVar = "subject consistency"
    backends: ClassVar = SUBJECT


class SubjectStage(BackendStage[SubjectConfig, ImageFeatureNetwork]):
    """Subject consistency of both clips, and the drift of the animation from its truth; None for a single frame, and
    for elongated frames.
    """

    name = "subject"
    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames"})
    writes: ClassVar[frozenset[str]] = frozenset({"subject_consistency", "subject_consistency_truth", "identity_drift"})

    def process(self, row: Row) -> Row:
        """The measures of the row's pair."""
        if is_elongated(row["animation_frames"]):
            return dict.fromkeys(self.writes)
        animation = self.backend.features(row["animation_frames"])
        truth = self.backend.features(row["truth_frames"])
        return {
            "subject_consistency": consistency(animation),
            "subject_consistency_truth": consistency(truth),
            "identity_drift": value_or_none(identity_drift(animation, truth)),
        }
