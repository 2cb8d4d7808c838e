"""The driving motion as drawings of the reference's own skeleton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.pose.pose_map import PRESETS, draw_pose, draw_poses
from models.pose.retarget import RULES, Rule, retarget
from stages.animate.models import MODELS, Models
from stages.base import Row, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class SkeletonConfig:
    """`rule`: the retargeting rule to try first (`models.pose.retarget`), for requests that name none; a coarser one
    follows where it cannot be.
    """

    rule: Rule = "limbs"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"unknown rule '{self.rule}', expected one of {', '.join(RULES)}")


class SkeletonStage(Stage[SkeletonConfig]):
    """Driving keypoints to `skeleton_keypoints`, (T, 133, 3) in pixels of the output, and `skeleton_frames`,
    (T, H, W, 3) uint8, in which they are drawn as the model knows them.
    """

    name = "skeleton"
    version = 3  # an arm or a leg that was found wrongly no longer lengthens both
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_keypoints", "driving_width_px", "driving_height_px", "reference_keypoints"),
            *("video_width_px", "video_height_px", "model", "retarget"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset(
        {"skeleton_keypoints", "skeleton_frames", "reference_skeleton", "retarget_rule"}
    )
    transient: ClassVar[frozenset[str]] = frozenset({"skeleton_keypoints", "skeleton_frames", "reference_skeleton"})

    def __init__(self, config: SkeletonConfig, models: Models = MODELS) -> None:
        super().__init__(config)
        self.models = models

    def process(self, row: Row) -> Row:
        """The drawings, and the rule that was used in the end."""
        preset = PRESETS[self.models[row["model"]].pose_preset]
        height, width = row["video_height_px"], row["video_width_px"]
        moved = retarget(
            row["driving_keypoints"],
            row["reference_keypoints"],
            driving_size_px=(row["driving_height_px"], row["driving_width_px"]),
            reference_size_px=(height, width),
            rule=row["retarget"] or self.config.rule,
        )
        return {
            "skeleton_keypoints": moved.keypoints,
            "skeleton_frames": draw_poses(moved.keypoints, height_px=height, width_px=width, preset=preset),
            "reference_skeleton": draw_pose(
                row["reference_keypoints"], height_px=height, width_px=width, preset=preset
            ),
            "retarget_rule": moved.rule,
        }
