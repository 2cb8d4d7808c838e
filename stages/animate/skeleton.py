"""Stage that retargets the driving motion to the reference and draws pose maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from models.pose.fit import measure_fit
from models.pose.placement import Placement, place
from models.pose.pose_map import PRESETS, draw_poses
from models.pose.retarget import RULES, Rule, retarget
from models.pose.seat import seated
from models.pose.skeleton import scale_keypoints
from stages.base import Row, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class SkeletonConfig:
    """`rule`: default retargeting rule (`models.pose.retarget`). If it does not apply, a coarser one is used."""

    rule: Rule = "limbs"

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"unknown rule '{self.rule}', expected one of {', '.join(RULES)}")


class SkeletonStage(Stage[SkeletonConfig]):
    """Retargets `skeleton_keypoints`, (T, 133, 3) in pixels of the canvas, and draws `skeleton_frames`, (T, H, W, 3)
    uint8, in the preset of the model.

    For a model that keeps the scene, the character takes the place and the size of the driving one
    (`models.pose.placement`), times `character_scale` and moved by `offset_x` and `offset_y`, shares of the width and
    height. Frames in which the driving character has no mask have no skeleton, since they stay as they are.
    """

    name = "skeleton"
    version = 6  # characters that sit keep their seat
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_keypoints", "driving_width_px", "driving_height_px", "reference_keypoints"),
            *("canvas_width_px", "canvas_height_px", "model_spec", "retarget"),
            *("driving_mask", "driving_objects", "character_scale", "offset_x", "offset_y"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset(
        {
            *("skeleton_keypoints", "skeleton_frames", "retarget_rule", "placement_rule", "retarget_fallbacks"),
            *("retarget_scale", "retarget_limb_scales", "retarget_offset_x_px", "retarget_offset_y_px"),
            *("retarget_plausibility", "retarget_outside_share", "retarget_max_outside_px"),
            *("retarget_start_offset_px", "retarget_ground_gap_px"),
        }
    )
    transient: ClassVar[frozenset[str]] = frozenset({"skeleton_keypoints", "skeleton_frames", "retarget_fallbacks"})

    def process(self, row: Row) -> Row:
        """`skeleton_keypoints`, `skeleton_frames`, the rules that applied, scales, offset, fallbacks, measures of fit.

        `placement_rule` is None where the character is not placed; offset and distances from the reference's position
        are None where it is.
        """
        preset = PRESETS[row["model_spec"]["pose_preset"]]
        size_px = height, width = row["canvas_height_px"], row["canvas_width_px"]
        driving_size_px = (row["driving_height_px"], row["driving_width_px"])
        driving, reference = row["driving_keypoints"], row["reference_keypoints"]
        retargeted = retarget(
            driving,
            reference,
            driving_size_px=driving_size_px,
            reference_size_px=size_px,
            rule=row["retarget"] or self.config.rule,
        )
        keypoints, scale, offset_px, placement_rule = retargeted.keypoints, 1.0, retargeted.offset_px, None
        if row["model_spec"]["keeps_scene"]:
            on_canvas = scale_keypoints(driving, driving_size_px, size_px)
            placed = place(keypoints, on_canvas, placement_of(row), seated_T=_seated(row, driving_size_px))
            keypoints, scale, offset_px, placement_rule = placed.keypoints, placed.scale, None, placed.rule
            keypoints[~row["driving_mask"].any(axis=(1, 2))] = 0.0
        fit = measure_fit(
            keypoints,
            driving,
            reference * np.array([scale, scale, 1], np.float32),
            size_px=size_px,
            stands_there=placement_rule is None,
        )
        offset_x_px, offset_y_px = offset_px or (None, None)
        return {
            "skeleton_keypoints": keypoints,
            "skeleton_frames": draw_poses(keypoints, height_px=height, width_px=width, preset=preset),
            "retarget_rule": retargeted.rule,
            "placement_rule": placement_rule,
            "retarget_fallbacks": list(retargeted.fallbacks),
            "retarget_scale": None if retargeted.scale is None else retargeted.scale * scale,
            "retarget_limb_scales": {group: ratio * scale for group, ratio in retargeted.ratios.items()},
            "retarget_offset_x_px": offset_x_px,
            "retarget_offset_y_px": offset_y_px,
            "retarget_plausibility": fit.plausibility,
            "retarget_outside_share": fit.outside_share,
            "retarget_max_outside_px": fit.max_outside_px,
            "retarget_start_offset_px": fit.start_offset_px,
            "retarget_ground_gap_px": fit.ground_gap_px,
        }


def _seated(row: Row, driving_size_px: tuple[int, int]) -> NDArray[np.float64] | None:
    """Degree to which the driving character sits on an object that stays; None without such objects."""
    objects = row["driving_objects"]
    if objects is None:
        return None
    return seated(scale_keypoints(row["driving_keypoints"], driving_size_px, objects.shape[1:3]), objects)


def placement_of(row: Row) -> Placement:
    """Scale and offset that a request asks for, in pixels of the canvas."""
    return Placement(
        scale=1.0 if row["character_scale"] is None else row["character_scale"],
        offset_px=(
            (row["offset_x"] or 0.0) * row["canvas_width_px"],
            (row["offset_y"] or 0.0) * row["canvas_height_px"],
        ),
    )
