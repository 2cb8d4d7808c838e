"""Depth inside the skeleton, coded as pictures that fit into a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.depth.structured import encode_depth, skeleton_masks
from models.pose.extent import CONFIDENT_SCORE
from stages.base import Row, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class StructuredDepthConfig:
    """How the skeleton is drawn that depth is kept in."""

    line_width_share: float = 0.02
    """Width of a limb as a share of the character's size; 0.02 is that of an OpenPose skeleton of a whole person."""
    min_score: float = CONFIDENT_SCORE
    """Keypoints with a lower score are not drawn."""

    def __post_init__(self) -> None:
        if not 0 < self.line_width_share <= 1:
            raise ValueError(f"line_width_share must be above 0 and at most 1, got {self.line_width_share}")
        if not 0 < self.min_score <= 1:
            raise ValueError(f"min_score must be above 0 and at most 1, got {self.min_score}")


class StructuredDepthStage(Stage[StructuredDepthConfig]):
    """Reduces the dense depth (T, H, W) of a clip to the rasterised skeleton (T, 133, 3), on one scale."""

    name = "structured_depth"
    reads: ClassVar[frozenset[str]] = frozenset({"keypoints", "depth"})
    writes: ClassVar[frozenset[str]] = frozenset({"depth_png", "depth_min", "depth_max"})

    def process(self, row: Row) -> Row:
        """PNG files of the structured depth, and the clip's scale."""
        masks = skeleton_masks(
            row["keypoints"],
            row["depth"].shape[1:],
            line_width_share=self.config.line_width_share,
            min_score=self.config.min_score,
        )
        coded = encode_depth(row["depth"], masks)
        return {"depth_png": coded.png, "depth_min": coded.minimum, "depth_max": coded.maximum}
