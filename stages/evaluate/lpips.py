"""Stage of LPIPS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stages.backends.base import BackendConfig, BackendStage
from stages.backends.features import LPIPS, PerceptualDistance
from stages.base import Row
from stages.evaluate.values import mean_or_none


@dataclass(frozen=True, kw_only=True, slots=True)
class LpipsConfig(BackendConfig):
    """Weights of LPIPS."""

    backend: str = "lpips"

    signal: ClassVar = "LPIPS"
    backends: ClassVar = LPIPS


class LpipsStage(BackendStage[LpipsConfig, PerceptualDistance]):
    """Means of LPIPS over frames, with inputs as DisCo feeds them and as its authors do.

    None for frames below the network's smallest size.
    """

    name = "lpips"
    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames"})
    writes: ClassVar[frozenset[str]] = frozenset({"lpips_disco", "lpips"})

    def process(self, row: Row) -> Row:
        """Both distances of the row's pair."""
        if min(row["truth_frames"].shape[1:3]) < self.backend.min_size_px:
            return {"lpips_disco": None, "lpips": None}
        disco, standard = self.backend.distances(row["animation_frames"], row["truth_frames"])
        return {"lpips_disco": mean_or_none(disco), "lpips": mean_or_none(standard)}
