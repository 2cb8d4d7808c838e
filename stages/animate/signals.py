"""Stage that computes the signals of a request: model inputs besides the reference picture and pose maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from models.animation.signals import (
    DRIVING_FRAMES,
    DRIVING_KEYPOINTS,
    POSE_KEYPOINTS,
    REFERENCE_KEYPOINTS,
    REFERENCE_POSE,
    Signal,
    collect_signals,
)
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
            *("video_width_px", "video_height_px"),
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
        base = {
            REFERENCE_KEYPOINTS: row["reference_keypoints"],
            POSE_KEYPOINTS: row["skeleton_keypoints"],
            DRIVING_FRAMES: row["driving_frames"],
            DRIVING_KEYPOINTS: row["driving_keypoints"],
        }
        if REFERENCE_POSE in needs:
            base[REFERENCE_POSE] = draw_pose(
                row["reference_keypoints"],
                height_px=row["video_height_px"],
                width_px=row["video_width_px"],
                preset=PRESETS[spec["pose_preset"]],
            )
        try:
            return {"signals": collect_signals(needs, self.own, base)}
        except ValueError as error:
            raise BadRow(Reason.INVALID_ROW, str(error)) from error
