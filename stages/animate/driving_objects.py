"""Stage for the masks of the driving video's objects that stay, for models that keep the scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.animation.signals import OBJECT_FRAMES, OBJECT_MASK
from models.masks.rle import decode
from stages.animate.driving import driving_short_side_px
from stages.backends.base import OnDemand
from stages.base import Row, Stage
from stages.io.clip_reader import DecodeConfig
from stages.io.prepared import read_prepared_objects
from stages.outcome import BadRow, Reason
from stages.prepare.object_masks import ObjectMasksConfig, ObjectMasksStage
from stages.prepare.object_prompts import is_prompted_elsewhere

OBJECT_SIGNALS = frozenset({OBJECT_FRAMES, OBJECT_MASK})


class DrivingObjectsStage(Stage[ObjectMasksConfig]):
    """`driving_objects`, bool (T, h, w): the pixels of all objects that stay; None if there are none, or the model does
    not read them. `kept_objects`: their ids.

    Prompts of the request are tracked; without them, the masks of a prepared clip count, then the prompts of an
    unprepared one. An object that is prompted elsewhere in the shot only and is in none of the frames does not stay,
    unless `keep_objects` is true. The weights are part of the row's key through `scene_weights`.
    """

    name = "driving_objects"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_frames", "driving_part", "frame_seconds", "objects", "keep_objects"),
            *("clip", "clip_id", "model_spec", "scene_weights", "width_px", "height_px"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset({"driving_objects", "kept_objects"})
    transient: ClassVar[frozenset[str]] = frozenset({"driving_objects"})

    def __init__(self, config: ObjectMasksConfig, decode: DecodeConfig | None = None) -> None:
        super().__init__(config)
        self.decode = decode or DecodeConfig()
        self.tracker = OnDemand(ObjectMasksStage(config, self.decode))

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
        prompts = _prompts(row)
        masks = self._masks(row, prompts)
        if not masks and row["keep_objects"]:
            raise BadRow(
                Reason.NO_PROMPT,
                "keep_objects is true, but no object is prompted; give prompts in the column objects, or a prepared "
                "clip with object masks",
            )
        shown = {name: mask for name, mask in masks.items() if mask.any()}
        if missing := [
            name
            for name in masks
            if name not in shown and (row["keep_objects"] or not is_prompted_elsewhere(prompts, name, row))
        ]:
            raise BadRow(
                Reason.OBJECT_NOT_VISIBLE,
                f"{', '.join(missing)}: in none of {len(row['driving_frames'])} frames; correct the prompts, or set "
                "keep_objects to false",
            )
        union = np.logical_or.reduce(list(shown.values())) if shown else None
        return {"driving_objects": union, "kept_objects": list(shown)}

    def _masks(self, row: Row, prompts: list[Any]) -> dict[str, NDArray[np.bool_]]:
        clip = row["clip"]
        if not _listed(row["objects"]) and clip is not None and clip["keypoints_file"] is not None:
            stored = read_prepared_objects(row["clip_id"], clip, len(row["driving_frames"]))
            if stored is not None:
                return stored
        if not prompts:
            return {}
        frames = row["driving_frames"]
        clip_columns = {
            **row["driving_part"],
            "frames": frames,
            "frame_seconds": row["frame_seconds"],
            "objects": prompts,
            "work_width_px": frames.shape[2],
            "work_height_px": frames.shape[1],
        }
        tracked = self.tracker.get().track(clip_columns, short_side_px=driving_short_side_px(row, self.decode))
        return {object_id: decode(codes) for object_id, codes in tracked.items()}

    def close(self) -> None:
        """Close the reader of frames outside the driving part."""
        self.tracker.close()


def _prompts(row: Row) -> list[Any]:
    """Prompts of the request, otherwise of its clip."""
    clip = row["clip"]
    return _listed(row["objects"]) or ([] if clip is None else _listed(clip["objects"]))


def _listed(prompts: Any) -> list[Any]:
    return [] if prompts is None else list(prompts)
