"""Stages that cut the reference's character out, for models that keep the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from models.animation.signals import REFERENCE_MASK
from models.compositing.reference import crop_to_character
from models.masks.rle import decode
from stages.backends.base import OnDemand
from stages.base import Row, Stage
from stages.outcome import BadRow, Reason
from stages.prepare.character_mask import CharacterMaskConfig, CharacterMaskStage


class ReferenceMaskStage(Stage[CharacterMaskConfig]):
    """`picture_mask`, bool (H, W) of the reference picture; None if the model does not read it.

    The weights are part of the row's key through `scene_weights`.
    """

    name = "reference_mask"
    reads: ClassVar[frozenset[str]] = frozenset(
        {"reference_uri", "reference_picture", "picture_keypoints", "model_spec", "scene_weights"}
    )
    writes: ClassVar[frozenset[str]] = frozenset({"picture_mask"})
    transient: ClassVar[frozenset[str]] = frozenset({"picture_mask"})

    def __init__(self, config: CharacterMaskConfig) -> None:
        super().__init__(config)
        self.masks = OnDemand(CharacterMaskStage(config))

    def networks(self, row: Row) -> Mapping[str, str]:  # noqa: ARG002
        """The network, if the row needed it."""
        return self.masks.networks(self.name)

    def process(self, row: Row) -> Row:
        """`picture_mask`.

        Raises:
            BadRow: NoPerson, if it is empty.
        """
        if REFERENCE_MASK not in row["model_spec"]["signals"]:
            return {"picture_mask": None}
        picture = {"frames": row["reference_picture"][None], "keypoints": row["picture_keypoints"][None]}
        mask = decode(self.masks.get().process(picture)["character_mask"])[0]
        if not mask.any():
            raise BadRow(Reason.NO_PERSON, f"{row['reference_uri']}: the mask of its character is empty")
        return {"picture_mask": mask}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceCropConfig:
    """No settings."""


class ReferenceCropStage(Stage[ReferenceCropConfig]):
    """`reference_image`, (H, W, 3) uint8 RGB of the canvas's size, with `reference_keypoints`, (133, 3) float32, and
    `reference_mask`, bool (H, W) or None, in its pixels.

    For a model that keeps the scene, the picture is cropped to its character; for others it is the whole picture.
    """

    name = "reference_crop"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("reference_picture", "picture_keypoints", "picture_mask"),
            *("canvas_width_px", "canvas_height_px", "model_spec"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset({"reference_image", "reference_keypoints", "reference_mask"})
    transient: ClassVar[frozenset[str]] = frozenset({"reference_image", "reference_mask"})

    def process(self, row: Row) -> Row:
        """`reference_image`, `reference_keypoints` and `reference_mask`."""
        picture, keypoints = row["reference_picture"], row["picture_keypoints"]
        if not row["model_spec"]["keeps_scene"]:
            return {"reference_image": picture, "reference_keypoints": keypoints, "reference_mask": None}
        size_px = (row["canvas_height_px"], row["canvas_width_px"])
        cropped = crop_to_character(picture, keypoints, size_px=size_px, mask_HW=row["picture_mask"])
        return {
            "reference_image": cropped.picture_HWC,
            "reference_keypoints": cropped.keypoints_K3,
            "reference_mask": cropped.mask_HW,
        }
