"""Stage for the masks of the driving video's objects that stay, for models that keep the scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.animation.signals import OBJECT_FRAMES, OBJECT_MASK
from models.masks.rle import decode
from stages.backends.base import OnDemand
from stages.base import Row, Stage
from stages.io.prepared import read_prepared_objects
from stages.outcome import BadRow, Reason
from stages.prepare.object_masks import ObjectMasksConfig, ObjectMasksStage

OBJECT_SIGNALS = frozenset({OBJECT_FRAMES, OBJECT_MASK})


class DrivingObjectsStage(Stage[ObjectMasksConfig]):
    """`driving_objects`, bool (T, h, w): the pixels of all objects that stay; None if there are none, or the model does
    not read them. `kept_objects`: their ids.

    Prompts of the request are tracked; without them, the masks of a prepared clip count, then the prompts of an
    unprepared one. The weights are part of the row's key through `scene_weights`.
    """

    name = "driving_objects"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_frames", "driving_part", "frame_seconds", "objects", "keep_objects"),
            *("clip", "clip_id", "model_spec", "scene_weights"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset({"driving_objects", "kept_objects"})
    transient: ClassVar[frozenset[str]] = frozenset({"driving_objects"})

    def __init__(self, config: ObjectMasksConfig) -> None:
        super().__init__(config)
        self.tracker = OnDemand(ObjectMasksStage(config))

    def networks(self, row: Row) -> Mapping[str, str]:  # noqa: ARG002
        """The network, if the row needed it."""
        return self.tracker.networks(self.name)

    def process(self, row: Row) -> Row:
        """`driving_objects` and `kept_objects`.

        Raises:
            BadRow: NoPrompt, if `keep_objects` is true and there are neither prompts nor masks; ObjectNotVisible, if an
                object is in no frame; InvalidRow, for a bad prompt; SourceChanged or NotFound for a prepared clip.
        """
        if not OBJECT_SIGNALS & set(row["model_spec"]["signals"]):
            return {"driving_objects": None, "kept_objects": None}
        if row["keep_objects"] is False:
            return {"driving_objects": None, "kept_objects": []}
        masks = self._masks(row)
        if not masks and row["keep_objects"]:
            raise BadRow(
                Reason.NO_PROMPT,
                "keep_objects is true, but no object is prompted; give prompts in the column objects, or a prepared "
                "clip with object masks",
            )
        if unseen := [name for name, mask in masks.items() if not mask.any()]:
            raise BadRow(
                Reason.OBJECT_NOT_VISIBLE,
                f"{', '.join(unseen)}: in none of {len(row['driving_frames'])} frames; correct the prompts, or set "
                "keep_objects to false",
            )
        union = np.logical_or.reduce(list(masks.values())) if masks else None
        return {"driving_objects": union, "kept_objects": list(masks)}

    def _masks(self, row: Row) -> dict[str, NDArray[np.bool_]]:
        clip = row["clip"]
        prompts = _listed(row["objects"])
        if not prompts and clip is not None:
            if clip["keypoints_file"] is not None:
                stored = read_prepared_objects(row["clip_id"], clip, len(row["driving_frames"]))
                if stored is not None:
                    return stored
            prompts = _listed(clip["objects"])
        if not prompts:
            return {}
        frames, part = row["driving_frames"], row["driving_part"]
        clip_columns = {
            "frames": frames,
            "frame_seconds": row["frame_seconds"],
            "objects": prompts,
            "width_px": part["width_px"],
            "height_px": part["height_px"],
            "work_width_px": frames.shape[2],
            "work_height_px": frames.shape[1],
        }
        tracked = self.tracker.get().process(clip_columns)["object_masks"]
        return {each["object_id"]: decode(each["masks"]) for each in tracked}


def _listed(prompts: Any) -> list[Any]:
    return [] if prompts is None else list(prompts)
