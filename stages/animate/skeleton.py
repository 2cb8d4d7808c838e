"""Stage that retargets the driving motion to the reference and draws pose maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.pose.pose_map import PRESETS, draw_poses
from models.pose.retarget import RULES, Rule, retarget
from stages.base import Row, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class SkeletonConfig:
    """`rule`: default retargeting rule (`models.pose.retarget`). If it does not apply, a coarser one is used."""

    rule: Rule = "limbs"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"unknown rule '{self.rule}', expected one of {', '.join(RULES)}")


class SkeletonStage(Stage[SkeletonConfig]):
    """Retargets `skeleton_keypoints`, (T, 133, 3) in pixels of the output, and draws `skeleton_frames`, (T, H, W, 3)
    uint8, in the preset of the model.
    """

    name = "skeleton"
    version = 3  # one wrongly detected arm or leg no longer lengthens both
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_keypoints", "driving_width_px", "driving_height_px", "reference_keypoints"),
            *("video_width_px", "video_height_px", "model_spec", "retarget"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset({"skeleton_keypoints", "skeleton_frames", "retarget_rule"})
    transient: ClassVar[frozenset[str]] = frozenset({"skeleton_keypoints", "skeleton_frames"})

    def process(self, row: Row) -> Row:
        """`skeleton_keypoints`, `skeleton_frames`, and `retarget_rule`, the rule that applied."""
        preset = PRESETS[row["model_spec"]["pose_preset"]]
        height, width = row["video_height_px"], row["video_width_px"]
        retargeted = retarget(
            row["driving_keypoints"],
            row["reference_keypoints"],
            driving_size_px=(row["driving_height_px"], row["driving_width_px"]),
            reference_size_px=(height, width),
            rule=row["retarget"] or self.config.rule,
        )
        return {
            "skeleton_keypoints": retargeted.keypoints,
            "skeleton_frames": draw_poses(retargeted.keypoints, height_px=height, width_px=width, preset=preset),
            "retarget_rule": retargeted.rule,
        }
