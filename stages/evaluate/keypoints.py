"""Stage of the measures on keypoints."""

from __future__ import annotations

from typing import ClassVar

from models.metrics.keypoints import expression_error, keypoint_distance, pck
from stages.backends.base import BackendStage
from stages.backends.perception import PoseBackend
from stages.base import Row
from stages.evaluate.values import value_or_none
from stages.prepare.pose import PoseConfig


class ComparedKeypointsStage(BackendStage[PoseConfig, PoseBackend]):
    """Keypoints of both clips, `animation_keypoints` and `truth_keypoints`, (T, 133, 3) float32, and what differs."""

    name = "keypoints"
    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames"})
    writes: ClassVar[frozenset[str]] = frozenset(
        {"animation_keypoints", "truth_keypoints", "pck", "keypoint_distance", "face_exp"}
    )
    transient: ClassVar[frozenset[str]] = frozenset({"animation_keypoints", "truth_keypoints"})

    def process(self, row: Row) -> Row:
        """Keypoints and measures of the row's pair."""
        animation = self.backend.keypoints(row["animation_frames"])
        truth = self.backend.keypoints(row["truth_frames"])
        return {
            "animation_keypoints": animation,
            "truth_keypoints": truth,
            "pck": value_or_none(pck(animation, truth)),
            "keypoint_distance": value_or_none(keypoint_distance(animation, truth)),
            "face_exp": value_or_none(expression_error(animation, truth)),
        }
