"""Stage `select`: rejection of clips by thresholds on their quality columns."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import ClassVar

from stages.base import Row, Stage
from stages.outcome import Reason, Rejected
from stages.prepare.quality import QUALITY_COLUMNS


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectConfig:
    """Thresholds; None disables one. The lenient defaults reject only clips that are unusable for any model."""

    max_implausible_share: float | None = 0.5
    """Maximum share of the frames whose skeleton is implausible, for example across two persons."""
    min_person_share: float | None = 0.5
    """Minimum share of the frames that show the character."""
    min_pose_confidence: float | None = 0.2
    """Minimum mean score of the body's keypoints."""
    min_keypoints_inside_mask: float | None = 0.5
    """Minimum share of the keypoints that lie in the character's mask."""
    max_mask_area_jump: float | None = 0.9
    """Maximum relative change of the mask's area between neighbouring frames."""
    min_motion_magnitude: float | None = 0.01
    """Unit: sizes of the character per second."""
    min_sharpness: float | None = 10.0
    """Variance of the Laplacian: 500 and more for sharp videos, 5 to 45 for a blur of 1% of the character's size."""
    max_identity_switches: int | None = 0
    """Maximum number of frames at which the character is likely another person."""
    max_shot_cuts: int | None = None
    """0 is for manifests not written by `ingest`, whose clips lie within a shot. Jumps of large figures can count as
    cuts: in one of 30 puppet clips.
    """
    max_longest_absence_seconds: float | None = 2.0
    """Maximum time without the character."""


# In order of evaluation: from faults of the whole clip to faults of details.
_CHECKS = (
    ("max_implausible_share", "implausible_share", operator.le, Reason.IMPLAUSIBLE_POSE),
    ("min_person_share", "person_share", operator.ge, Reason.NO_PERSON),
    ("min_pose_confidence", "pose_confidence", operator.ge, Reason.LOW_POSE_CONFIDENCE),
    ("max_shot_cuts", "shot_cuts", operator.le, Reason.SHOT_CUT),
    ("max_longest_absence_seconds", "longest_absence_seconds", operator.le, Reason.LONG_ABSENCE),
    ("max_identity_switches", "identity_switches", operator.le, Reason.IDENTITY_SWITCH),
    ("min_keypoints_inside_mask", "keypoints_inside_mask", operator.ge, Reason.KEYPOINTS_OUTSIDE_MASK),
    ("max_mask_area_jump", "mask_area_jump", operator.le, Reason.UNSTABLE_MASK),
    ("min_sharpness", "sharpness", operator.ge, Reason.BLURRED),
    ("min_motion_magnitude", "motion_magnitude", operator.ge, Reason.NO_MOTION),
)


def thresholds(config: SelectConfig) -> dict[str, float]:
    """Threshold by quality column, for enabled thresholds."""
    limits = {column: getattr(config, option) for option, column, _, _ in _CHECKS}
    return {column: limit for column, limit in limits.items() if limit is not None}


class SelectStage(Stage[SelectConfig]):
    """Rejects a clip at the first threshold it fails.

    Reads quality columns only, so that a changed threshold requires no decoding.
    """

    name = "select"
    reads: ClassVar[frozenset[str]] = QUALITY_COLUMNS | {"implausible_share"}
    writes: ClassVar[frozenset[str]] = frozenset()

    def process(self, row: Row) -> Row:
        """Validates the quality; adds no columns.

        Raises:
            Rejected: the clip fails a threshold; the message states the value and the threshold.
        """
        for option, column, holds, reason in _CHECKS:
            limit, value = getattr(self.config, option), row[column]
            if limit is not None and not holds(value, limit):
                raise Rejected(reason, f"{column} is {value:.4g}, but {option} is {limit:.4g}")
        return {}
