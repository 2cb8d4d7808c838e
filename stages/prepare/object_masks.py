"""Stage `object_masks`: masks of the prompted objects in each frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.masks.rle import encode
from models.perception.prompts import ObjectPrompt
from models.pose.skeleton import scale_keypoints
from stages.backends.base import BackendConfig, BackendStage
from stages.backends.perception import OBJECT_MASKS, ObjectMaskBackend
from stages.base import Row
from stages.outcome import BadRow, Reason

MAX_OBJECTS = 64
"""Maximum number of objects per clip: their masks are in memory together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectMasksConfig(BackendConfig):
    """`backend`: embedded, sam2 (through transformers) or sam2-official (through its publisher's package)."""

    signal: ClassVar = "object masks"
    backends: ClassVar = OBJECT_MASKS


class ObjectMasksStage(BackendStage[ObjectMasksConfig, ObjectMaskBackend]):
    """Tracks the prompted objects; one run-length code per object and frame, objects in order of their first prompt.

    Prompts with the same `object_id` refer to the same object at different times. A prompt more than a frame outside
    the clip, or with a box or points outside the picture, is `InvalidRow`; a box that extends beyond the picture is
    clipped.
    """

    name = "object_masks"
    reads = frozenset(
        {"frames", "frame_seconds", "objects", "width_px", "height_px", "work_width_px", "work_height_px"}
    )
    writes = frozenset({"object_masks"})

    def networks(self, row: Row) -> Mapping[str, str]:
        """The configured network, if objects are prompted."""
        return {} if row["objects"] is None or not len(row["objects"]) else super().networks(row)

    def process(self, row: Row) -> Row:
        """Computes `object_masks`, an empty list without prompts.

        Raises:
            BadRow: InvalidRow, for an invalid prompt.
        """
        objects: dict[str, list[ObjectPrompt]] = {}
        for prompt in row["objects"] if row["objects"] is not None else ():
            _check_complete(prompt, row)
            objects.setdefault(prompt["object_id"], []).append(_prompt(prompt, row))
        if not objects:
            return {"object_masks": []}
        if len(objects) > MAX_OBJECTS:
            raise BadRow(Reason.INVALID_ROW, f"{len(objects)} objects are prompted, {MAX_OBJECTS} are allowed")
        tracks = self.backend.track_all(row["frames"], list(objects.values()))
        return {
            "object_masks": [
                {"object_id": object_id, "masks": encode(masks)}
                for object_id, masks in zip(objects, tracks, strict=True)
            ]
        }


def _check_complete(prompt: Mapping[str, Any] | None, row: Row) -> None:
    """Validate that nothing is null that `_prompt` computes with."""
    if prompt is None or prompt["seconds"] is None or not prompt["object_id"]:
        raise BadRow(Reason.INVALID_ROW, f"a prompt needs object_id and seconds, got {prompt!r:.300}")
    box, points = prompt.get("box"), prompt.get("points")
    numbers = [] if box is None else list(box)
    for point in () if points is None else points:
        numbers += [None] if point is None else [point["x"], point["y"], point["positive"]]
    if any(number is None for number in numbers):
        label = f"prompt of object '{prompt['object_id']:.100}'"
        raise BadRow(
            Reason.INVALID_ROW, f"{label}: null in its box or points; expected numbers, positive true or false"
        )
    for name in ("width_px", "height_px"):
        if not (row[name] and row[name] > 0):
            raise BadRow(Reason.INVALID_ROW, f"{name} is {row[name]}, expected the size in which prompts are given")


def _prompt(prompt: Mapping[str, Any], row: Row) -> ObjectPrompt:
    """Prompt in pixels of the working size, at the nearest frame."""
    label = f"prompt of object '{prompt['object_id']:.100}' at {prompt['seconds']} s"
    scale = np.array([row["work_width_px"] / row["width_px"], row["work_height_px"] / row["height_px"]], np.float32)
    size, work_size_px = (row["width_px"], row["height_px"]), (row["work_height_px"], row["work_width_px"])
    box = _box(prompt.get("box"), size, label)
    points = prompt.get("points")
    points = [] if points is None else list(points)
    positive = _points([point for point in points if point["positive"]], size, label)
    negative = _points([point for point in points if not point["positive"]], size, label)
    if box is None and len(positive) == 0:
        raise BadRow(Reason.INVALID_ROW, f"{label} has neither a box nor a positive point")
    return ObjectPrompt(
        frame=_frame(float(prompt["seconds"]), np.asarray(row["frame_seconds"], np.float64), label),
        box=None if box is None else tuple(float(value) for value in box * np.tile(scale, 2)),  # type: ignore[arg-type]
        positive=scale_keypoints(positive, (size[1], size[0]), work_size_px),
        negative=scale_keypoints(negative, (size[1], size[0]), work_size_px),
    )


def _frame(seconds: float, frame_seconds: NDArray[np.float64], label: str) -> int:
    gap = float(np.median(np.diff(frame_seconds))) if len(frame_seconds) > 1 else 0.1
    first, last = frame_seconds[0], frame_seconds[-1]
    if not first - gap <= seconds <= last + gap:
        raise BadRow(
            Reason.INVALID_ROW,
            f"{label} lies outside the clip, which runs from {first:.3f} to {last:.3f} s; "
            "give it to the clip that shows that moment",
        )
    return int(np.abs(frame_seconds - seconds).argmin())


def _box(box: Sequence[float] | None, size: tuple[int, int], label: str) -> NDArray[np.float32] | None:
    if box is None:
        return None
    values = [float(value) for value in box]
    if len(values) != 4 or not all(math.isfinite(value) for value in values):
        raise BadRow(
            Reason.INVALID_ROW, f"{label}: the box must be 4 finite numbers x0, y0, x1, y1, got {values!s:.200}"
        )
    x0, x1 = (min(max(value, 0.0), size[0]) for value in values[::2])
    y0, y1 = (min(max(value, 0.0), size[1]) for value in values[1::2])
    if x0 >= x1 or y0 >= y1:
        raise BadRow(
            Reason.INVALID_ROW,
            f"{label}: the box {values} is empty or outside the {size[0]} x {size[1]} picture; "
            "expected x0 < x1 and y0 < y1 in pixels of the display size",
        )
    return np.array([x0, y0, x1, y1], np.float32)


def _points(points: Sequence[Mapping[str, Any]], size: tuple[int, int], label: str) -> NDArray[np.float32]:
    xy = np.array([(point["x"], point["y"]) for point in points], np.float32).reshape(-1, 2)
    outside = ~((xy >= -0.5) & (xy <= np.array(size) - 0.5)).all(axis=1)
    if outside.any():
        raise BadRow(
            Reason.INVALID_ROW,
            f"{label}: the point {xy[outside][0].tolist()} is outside the {size[0]} x {size[1]} picture",
        )
    return xy
