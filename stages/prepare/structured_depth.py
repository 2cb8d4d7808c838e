"""Stage `structured_depth`: depth inside the rasterised skeleton, encoded as PNG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.depth.structured import LINE_WIDTH_SHARE, encode_depth, skeleton_masks
from models.pose.extent import CONFIDENT_SCORE
from stages.base import Row, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class StructuredDepthConfig:
    """Rasterisation of the skeleton."""

    line_width_share: float = LINE_WIDTH_SHARE
    """Width of a limb relative to the character's size."""
    min_score: float = CONFIDENT_SCORE
    """Minimum score of drawn keypoints."""

    def __post_init__(self) -> None:
        if not 0 < self.line_width_share <= 1:
            raise ValueError(f"line_width_share must be above 0 and at most 1, got {self.line_width_share}")
        if not 0 < self.min_score <= 1:
            raise ValueError(f"min_score must be above 0 and at most 1, got {self.min_score}")


class StructuredDepthStage(Stage[StructuredDepthConfig]):
    """Restricts dense depth (T, H, W) to the rasterised keypoints (T, 133, 3), with one depth scale per clip."""

    name = "structured_depth"
    reads: ClassVar[frozenset[str]] = frozenset({"keypoints", "depth"})
    writes: ClassVar[frozenset[str]] = frozenset({"depth_png", "depth_min", "depth_max"})

    def process(self, row: Row) -> Row:
        """Computes `depth_png`, one 16-bit PNG per frame, and the depth scale of the clip."""
        masks = skeleton_masks(
            row["keypoints"],
            row["depth"].shape[1:],
            line_width_share=self.config.line_width_share,
            min_score=self.config.min_score,
        )
        coded = encode_depth(row["depth"], masks)
        return {"depth_png": coded.png, "depth_min": coded.minimum, "depth_max": coded.maximum}
