"""Stage for the scene that a character is set into, for models that keep the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.compositing.scene import agnostic_area, resized_frames
from models.masks.resize import covering_masks, resize_masks
from stages.animate.skeleton import placement_of
from stages.base import Row, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneConfig:
    """No settings."""


class SceneStage(Stage[SceneConfig]):
    """`scene_frames`, (T, H, W, 3) uint8 RGB, `agnostic_mask` and `object_mask`, bool (T, H, W), of the canvas's size;
    None for models that do not keep the scene.

    The agnostic mask follows the paper's inference rule, and includes the place that the request moves or scales the
    character to. It is empty in frames that stay as they are.
    """

    name = "scene"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_frames", "driving_mask", "driving_objects", "model_spec"),
            *("canvas_width_px", "canvas_height_px", "character_scale", "offset_x", "offset_y"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset({"scene_frames", "agnostic_mask", "object_mask"})
    transient: ClassVar[frozenset[str]] = frozenset({"scene_frames", "agnostic_mask", "object_mask"})

    def process(self, row: Row) -> Row:
        """`scene_frames`, `agnostic_mask` and `object_mask`."""
        if not row["model_spec"]["keeps_scene"]:
            return dict.fromkeys(self.writes)
        size_px = (row["canvas_height_px"], row["canvas_width_px"])
        # No pixel of the driving character may show, not even one that it covers in part.
        characters = covering_masks(row["driving_mask"], size_px)
        scene = resized_frames(row["driving_frames"], size_px)
        objects = row["driving_objects"]
        return {
            "scene_frames": scene,
            "agnostic_mask": agnostic_area(characters, placement_of(row)),
            "object_mask": np.zeros(scene.shape[:3], np.bool_) if objects is None else resize_masks(objects, size_px),
        }
