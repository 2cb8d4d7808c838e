"""Stage of the features of DTFVD, of whole frames, of the character and of the scenery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.metrics.regions import fill_outside
from stages.backends.base import BackendConfig
from stages.base import Row
from stages.evaluate.features import FeatureStage, feature_columns, only

_NAMES = ("dtfvd", "dtfvd_fg", "dtfvd_bg")


@dataclass(frozen=True, kw_only=True, slots=True)
class DtfvdConfig(BackendConfig):
    """Weights of the I3D of DTFVD."""

    backend: str = "dtfvd"

    signal: ClassVar = "DTFVD"
    backends: ClassVar = only("dtfvd")


class DtfvdStage(FeatureStage[DtfvdConfig]):
    """Features of both clips, and of each with everything but the character, or the character, painted mid-grey."""

    name = "dtfvd"
    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames", "animation_mask", "truth_mask"})
    writes: ClassVar[frozenset[str]] = frozenset(column for name in _NAMES for column in feature_columns(name))

    def process(self, row: Row) -> Row:
        """Features of the row's pair."""
        columns = {}
        for index, clip in enumerate(("animation", "truth")):
            frames, mask = row[f"{clip}_frames"], row[f"{clip}_mask"]
            for name, shown in zip(_NAMES, (None, mask, ~mask), strict=True):
                filled = frames if shown is None else fill_outside(frames, shown)
                columns[feature_columns(name)[index]] = self._features(filled)
        return columns
