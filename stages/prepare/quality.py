"""Stage `quality`: quality measures of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.masks import rle
from models.quality import measures
from stages.base import Row, Stage

QUALITY_COLUMNS = frozenset(
    {
        "pose_confidence",
        "person_share",
        "keypoints_inside_mask",
        "mask_area_jump",
        "motion_magnitude",
        "sharpness",
        "identity_switches",
        "shot_cuts",
        "longest_absence_seconds",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityConfig:
    """Empty: the measures have no parameters. Thresholds are in `SelectConfig`."""


class QualityStage(Stage[QualityConfig]):
    """Measures the quality of a clip, without rejecting it."""

    name = "quality"
    reads: ClassVar[frozenset[str]] = frozenset({"frames", "frame_seconds", "keypoints", "character_mask"})
    writes: ClassVar[frozenset[str]] = QUALITY_COLUMNS

    def process(self, row: Row) -> Row:
        """Computes all quality columns: finite numbers, defined in `models.quality.measures`."""
        frames, keypoints = row["frames"], row["keypoints"]
        masks = rle.decode(row["character_mask"])
        frame_seconds = np.asarray(row["frame_seconds"], np.float64)
        return {
            "pose_confidence": measures.pose_confidence(keypoints),
            "person_share": measures.person_share(keypoints, masks),
            "keypoints_inside_mask": measures.keypoints_inside_mask(keypoints, masks),
            "mask_area_jump": measures.mask_area_jump(masks),
            "motion_magnitude": measures.motion_magnitude(keypoints, frame_seconds),
            "sharpness": measures.sharpness(frames, masks),
            "identity_switches": measures.identity_switches(frames, masks),
            "shot_cuts": measures.shot_cuts(frames),
            "longest_absence_seconds": measures.longest_absence_seconds(keypoints, masks, frame_seconds),
        }
