"""Stage that validates a request before files are read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from models.animation.signals import FACE_CONTROL
from models.pose.retarget import RULES
from stages.animate.driving import OPTIONAL_PART_FIELDS, PART_FIELDS
from stages.animate.driving_objects import OBJECT_SIGNALS
from stages.animate.face_crops import CONTROLS
from stages.base import Row, Stage
from stages.outcome import BadRow, Reason, Status

MAX_STEPS = 1000
MAX_GUIDANCE = 100.0
MIN_SCALE, MAX_SCALE = 0.1, 10.0
LONG_VIDEO = ("windows", "chain")
SCENE_COLUMNS = ("keep_objects", "character_scale", "offset_x", "offset_y", "paste_back")
"""Columns of requests to models that keep the scene."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestConfig:
    """`max_side_px`: maximum side of the output."""

    # Not in the key: it decides whether there is a result, and does not change it.
    max_side_px: int = field(default=2048, metadata={"in_key": False})


class RequestStage(Stage[RequestConfig]):
    """Validates a request; adds no columns."""

    name = "request"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("reference_uri", "driving_uri", "clip_id", "clips_uri", "clip", "clip_fault"),
            *("start_seconds", "duration_seconds"),
            *("model", "model_spec", "seed", "num_steps", "guidance_scale", "width_px", "height_px"),
            *("retarget", "keep_objects", "character_scale", "offset_x", "offset_y", "paste_back", "long_video"),
            "controls",
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset()

    def process(self, row: Row) -> Row:
        """Validate the row; returns no columns.

        Raises:
            BadRow: UnknownModel, MissingWeights, NotFound (for a clip), or InvalidRow.
        """
        _check_model(row)
        _check_driving(row)
        _check_sampling(row)
        if row["retarget"] is not None and row["retarget"] not in RULES:
            raise _invalid(f"retarget is {row['retarget'][:60]!r}, expected one of {', '.join(RULES)}")
        _check_scene(row)
        _check_controls(row)
        self._check_size(row)
        return {}

    def _check_size(self, row: Row) -> None:
        multiple = row["model_spec"]["size_multiple"]
        for name in ("width_px", "height_px"):
            side = row[name]
            if side is None:
                continue
            if not 0 < side <= self.config.max_side_px:
                raise _invalid(f"{name} is {side}, expected 1 to {self.config.max_side_px}")
            if side % multiple:
                below = side // multiple * multiple
                near = " or ".join(str(s) for s in (below, below + multiple) if s)
                raise _invalid(f"{name} is {side}, but {row['model']} needs a multiple of {multiple}: ask for {near}")


def _check_model(row: Row) -> None:
    spec = row["model_spec"]
    if spec["reason"] is not None:
        raise BadRow(Reason(spec["reason"]), spec["message"])


def _check_driving(row: Row) -> None:
    has_clip = row["clip_id"] is not None
    if (row["driving_uri"] is not None) == has_clip:
        raise _invalid("expected either driving_uri, or clip_id with clips_uri (its dataset), got both or neither")
    for name in ("start_seconds", "duration_seconds"):
        if row[name] is None:
            continue
        if has_clip:
            raise _invalid(
                f"{name} is given, but a clip is used as it is; give driving_uri to choose a part of a video"
            )
        if not math.isfinite(row[name]) or row[name] < 0 or (name == "duration_seconds" and row[name] == 0):
            raise _invalid(f"{name} is {row[name]}, expected a number of seconds, 0 or more")
    if not has_clip:
        return
    clip, fault = row["clip"], row["clip_fault"]
    if fault is not None:
        raise BadRow(Reason(fault["reason"]), fault["message"])
    if clip is None:
        raise BadRow(
            Reason.NOT_FOUND, f"there is no clip {row['clip_id'][:128]!r} in {row['clips_uri'] or 'no dataset'}"
        )
    if clip["status"] not in (None, Status.OK):
        raise _invalid(f"the clip {row['clip_id']} is {clip['status']} in {row['clips_uri']}, not ok")
    if empty := [name for name in PART_FIELDS if name not in OPTIONAL_PART_FIELDS and clip[name] is None]:
        raise _invalid(f"the clip {row['clip_id']} in {row['clips_uri']} has no {' and no '.join(empty)}")


def _check_sampling(row: Row) -> None:
    if row["seed"] is None or row["seed"] < 0:
        raise _invalid(f"seed is {row['seed']}, expected a whole number, 0 or more")
    steps, guidance = row["num_steps"], row["guidance_scale"]
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise _invalid(f"num_steps is {steps}, expected 1 to {MAX_STEPS}")
    if guidance is not None and not 0 <= guidance <= MAX_GUIDANCE:
        raise _invalid(f"guidance_scale is {guidance}, expected 0 to {MAX_GUIDANCE:g}")


def _check_scene(row: Row) -> None:
    long_video = row["long_video"]
    if long_video not in (None, *LONG_VIDEO):
        raise _invalid(f"long_video is {long_video[:60]!r}, expected one of {', '.join(LONG_VIDEO)}")
    if not row["model_spec"]["keeps_scene"]:
        given = [name for name in SCENE_COLUMNS if row[name] is not None]
        if long_video == "chain":
            given.append("long_video = chain")
        if given:
            raise _invalid(
                f"{', '.join(given)}: {row['model']} animates the picture; leave this to models that keep the scene of "
                "the driving video"
            )
        return
    if row["keep_objects"] and not OBJECT_SIGNALS & set(row["model_spec"]["signals"]):
        raise _invalid(f"keep_objects is true, but {row['model']} reads no objects")
    scale = row["character_scale"]
    if scale is not None and not MIN_SCALE <= scale <= MAX_SCALE:
        raise _invalid(f"character_scale is {scale}, expected {MIN_SCALE:g} to {MAX_SCALE:g}")
    for name in ("offset_x", "offset_y"):
        if row[name] is not None and not -1 <= row[name] <= 1:
            raise _invalid(f"{name} is {row[name]}, expected a share of the frame, -1 to 1")


def _check_controls(row: Row) -> None:
    controls = row["controls"]
    if controls not in (None, *CONTROLS):
        raise _invalid(f"controls is {controls[:60]!r}, expected one of {', '.join(CONTROLS)}")
    if controls in ("face", "both") and FACE_CONTROL not in row["model_spec"]["signals"]:
        raise _invalid(f"controls is {controls}, but {row['model']} reads no face; its body follows the driving video")


def _invalid(message: str) -> BadRow:
    return BadRow(Reason.INVALID_ROW, message)
