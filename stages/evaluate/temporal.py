"""Stage of the measures of change over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.metrics.pixels import psnr
from models.metrics.temporal import colour_drift, flicker, quarter_drift, seam_ratio
from stages.base import Row, Stage
from stages.evaluate.values import value_or_none
from stages.outcome import BadRow, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class TemporalConfig:
    """The measures of change over time have no settings."""


class TemporalStage(Stage[TemporalConfig]):
    """Flicker, seams and drift; None where a clip is too short, or has no window border."""

    name = "temporal"
    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames", "window_borders"})
    writes: ClassVar[frozenset[str]] = frozenset(
        {"flicker", "flicker_truth", "seam_ratio", "seam_ratio_truth", "colour_drift", "psnr_drift_db"}
    )

    def process(self, row: Row) -> Row:
        """The measures of the row's pair.

        Raises:
            BadRow: InvalidRow, if a window border lies outside the clip.
        """
        animation, truth = row["animation_frames"], row["truth_frames"]
        borders = [] if row["window_borders"] is None else [int(frame) for frame in row["window_borders"]]
        if outside := [border for border in borders if not 0 <= border < len(animation)]:
            raise BadRow(
                Reason.INVALID_ROW, f"window_borders has {outside[0]}, expected frames of a clip of {len(animation)}"
            )
        return {
            "flicker": value_or_none(flicker(animation)),
            "flicker_truth": value_or_none(flicker(truth)),
            "seam_ratio": value_or_none(seam_ratio(animation, borders)),
            "seam_ratio_truth": value_or_none(seam_ratio(truth, borders)),
            "colour_drift": value_or_none(colour_drift(animation, truth)),
            "psnr_drift_db": value_or_none(quarter_drift(psnr(animation, truth))),
        }
