"""Stage for the mask of the driving video's own character, for models that keep the scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from models.masks.rle import decode
from stages.backends.base import OnDemand
from stages.base import Row, Stage
from stages.io.prepared import read_prepared_mask
from stages.outcome import BadRow, Reason
from stages.prepare.character_mask import CharacterMaskConfig, CharacterMaskStage


class DrivingMaskStage(Stage[CharacterMaskConfig]):
    """`driving_mask`, bool (T, h, w), of the size of the driving frames or of a prepared clip's masks; None if the
    model does not keep the scene.

    A frame whose mask is empty shows no character to replace: it stays as it is, and counts as one of
    `frames_without_character`. The weights are part of the row's key through `scene_weights`.
    """

    name = "driving_mask"
    reads: ClassVar[frozenset[str]] = frozenset(
        {"driving_frames", "driving_keypoints", "clip", "clip_id", "model_spec", "scene_weights"}
    )
    writes: ClassVar[frozenset[str]] = frozenset({"driving_mask", "frames_without_character"})
    transient: ClassVar[frozenset[str]] = frozenset({"driving_mask"})

    def __init__(self, config: CharacterMaskConfig) -> None:
        super().__init__(config)
        self.masks = OnDemand(CharacterMaskStage(config))

    def networks(self, row: Row) -> Mapping[str, str]:  # noqa: ARG002
        """The network, if the row needed it."""
        return self.masks.networks(self.name)

    def process(self, row: Row) -> Row:
        """`driving_mask` and `frames_without_character`.

        Raises:
            BadRow: NoPerson, if the mask is empty in all frames; SourceChanged or NotFound for a prepared clip.
        """
        if not row["model_spec"]["keeps_scene"]:
            return {"driving_mask": None, "frames_without_character": None}
        mask = self._mask(row)
        is_empty = ~mask.any(axis=(1, 2))
        if is_empty.all():
            raise BadRow(
                Reason.NO_PERSON,
                f"the mask of the driving character is empty in all {len(mask)} frames; there is nobody to replace",
            )
        return {"driving_mask": mask, "frames_without_character": int(is_empty.sum())}

    def _mask(self, row: Row) -> NDArray[np.bool_]:
        frames, clip = row["driving_frames"], row["clip"]
        if clip is not None and clip["keypoints_file"] is not None:
            stored = read_prepared_mask(row["clip_id"], clip, len(frames))
            if stored is not None:
                return stored
        estimated = self.masks.get().process({"frames": frames, "keypoints": row["driving_keypoints"]})
        return decode(estimated["character_mask"])
