"""Stage that computes the signals of a request: model inputs besides the reference picture and pose maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.animation.signals import (
    AGNOSTIC_MASK,
    CONTROLS,
    DRIVING_FRAMES,
    DRIVING_KEYPOINTS,
    FACE_CONTROL,
    OBJECT_FRAMES,
    OBJECT_MASK,
    POSE_KEYPOINTS,
    REFERENCE_KEYPOINTS,
    REFERENCE_MASK,
    REFERENCE_POSE,
    SCENE_FRAMES,
    STRUCTURED_DEPTH,
    Array,
    Signal,
    collect_signals,
)
from models.depth.joint_depth import draw_structured_depth
from models.pose.pose_map import PRESETS, draw_pose
from stages.base import Row, Stage
from stages.outcome import BadRow, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalsConfig:
    """No settings."""


class SignalsStage(Stage[SignalsConfig]):
    """Computes `signals`, name -> array: those that the model of the row needs.

    Args:
        own: system-specific signals, by name. Their versions are part of the digests of the models.
    """

    name = "signals"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("reference_keypoints", "skeleton_keypoints", "driving_frames", "driving_keypoints", "model_spec"),
            *("canvas_width_px", "canvas_height_px", "reference_mask", "driving_joint_depths"),
            *("scene_frames", "agnostic_mask", "object_mask", "face_control", "applied_controls"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset({"signals"})
    transient: ClassVar[frozenset[str]] = frozenset({"signals"})

    def __init__(self, config: SignalsConfig, own: Mapping[str, Signal] | None = None) -> None:
        super().__init__(config)
        self.own = dict(own or {})

    def process(self, row: Row) -> Row:
        """`signals`, for the names in `model_spec.signals`.

        Raises:
            BadRow: InvalidRow, if a signal cannot be computed from the clip.
        """
        spec = row["model_spec"]
        needs = list(spec["signals"])
        size_px = (row["canvas_height_px"], row["canvas_width_px"])
        base = {
            REFERENCE_KEYPOINTS: row["reference_keypoints"],
            POSE_KEYPOINTS: row["skeleton_keypoints"],
            DRIVING_FRAMES: row["driving_frames"],
            DRIVING_KEYPOINTS: row["driving_keypoints"],
        }
        if REFERENCE_POSE in needs:
            base[REFERENCE_POSE] = draw_pose(
                row["reference_keypoints"],
                height_px=size_px[0],
                width_px=size_px[1],
                preset=PRESETS[spec["pose_preset"]],
            )
        if spec["keeps_scene"]:
            base |= _scene_signals(row, needs, size_px)
        if FACE_CONTROL in needs:
            applied = row["applied_controls"]
            base[FACE_CONTROL] = row["face_control"]
            base[CONTROLS] = np.array([applied != "face", applied != "body"])
        try:
            return {"signals": collect_signals(needs, self.own, base)}
        except ValueError as error:
            raise BadRow(Reason.INVALID_ROW, str(error)) from error


def _scene_signals(row: Row, needs: Iterable[str], size_px: tuple[int, int]) -> dict[str, Array]:
    scene, objects = row["scene_frames"], row["object_mask"]
    signals = {
        REFERENCE_MASK: row["reference_mask"],
        SCENE_FRAMES: scene,
        AGNOSTIC_MASK: row["agnostic_mask"],
        OBJECT_MASK: objects,
    }
    if OBJECT_FRAMES in needs:
        signals[OBJECT_FRAMES] = np.where(objects[..., None], scene, np.uint8(0))
    if STRUCTURED_DEPTH in needs:
        signals[STRUCTURED_DEPTH] = draw_structured_depth(
            row["driving_joint_depths"], row["skeleton_keypoints"], size_px
        )
    return signals
