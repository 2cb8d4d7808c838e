"""Prompts of objects: validation, scaling, and the frames to which they belong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.perception.prompts import ObjectPrompt
from models.pose.skeleton import scale_keypoints
from models.video.window import MAX_SECONDS, ClipWindow
from stages.base import Row
from stages.io.clip_reader import window_of
from stages.outcome import BadRow, Reason

_SAME_SECONDS = 1e-6
_MIN_SPACING_SECONDS = 1e-4
_BEFORE_FIRST, _AFTER_LAST = 0.5, 0.95
"""Frame intervals before the first frame and after the last that belong to a clip whose shot is known. A whole interval
after the last one is the next clip's first frame."""


def prompts_by_object(row: Row) -> dict[str, list[ObjectPrompt]]:
    """The prompts that count for each object of a clip, in pixels of the working size, at the nearest frame.

    Frames are numbered from the clip's first; numbers below 0 and above the last are those of its shot outside the
    clip. All prompts inside the clip count; without one, those in the frame nearest to it.

    Raises:
        BadRow: InvalidRow, for an invalid prompt.
    """
    objects: dict[str, list[ObjectPrompt]] = {}
    for prompt in row["objects"] if row["objects"] is not None else ():
        _check_complete(prompt, row)
        objects.setdefault(prompt["object_id"], []).append(_prompt(prompt, row))
    return {name: _counting(prompts, len(row["frame_seconds"])) for name, prompts in objects.items()}


def _counting(prompts: Sequence[ObjectPrompt], num_frames: int) -> list[ObjectPrompt]:
    frames = [prompt.frame for prompt in prompts]
    if any(0 <= frame < num_frames for frame in frames):
        return [prompt for prompt in prompts if 0 <= prompt.frame < num_frames]
    nearest = min(sorted(frames), key=lambda frame: max(-frame, frame - num_frames + 1))
    return [prompt for prompt in prompts if prompt.frame == nearest]


def is_prompted_elsewhere(prompts: Sequence[Mapping[str, Any]], object_id: str, row: Row) -> bool:
    """Whether an object has prompts, and all of them lie outside the frames of `frame_seconds`."""
    first, last = row["frame_seconds"][0], row["frame_seconds"][-1]
    seconds = [prompt["seconds"] for prompt in prompts if prompt["object_id"] == object_id]
    return bool(seconds) and not any(first <= each <= last for each in seconds)


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
        frame=_frame(float(prompt["seconds"]), row, label),
        box=None if box is None else tuple(float(value) for value in box * np.tile(scale, 2)),  # type: ignore[arg-type]
        positive=scale_keypoints(positive, (size[1], size[0]), work_size_px),
        negative=scale_keypoints(negative, (size[1], size[0]), work_size_px),
    )


def _frame(seconds: float, row: Row, label: str) -> int:
    times = np.asarray(row["frame_seconds"], np.float64)
    first, last = float(times[0]), float(times[-1])
    shot = _shot(row)
    if shot is None:
        before = after = float(np.median(np.diff(times))) if len(times) > 1 else 0.1
    else:
        before, after = (share * row["frame_step"] / row["fps"] for share in (_BEFORE_FIRST, _AFTER_LAST))
    if first - before <= seconds <= last + after:
        return int(np.abs(times - seconds).argmin())
    where = f"{label} lies outside the clip, which runs from {first:.3f} to {last:.3f} s"
    if shot is None:
        raise BadRow(
            Reason.INVALID_ROW,
            f"{where}; give it to the clip that shows that moment, or give the clip's row shot_start_seconds and "
            "shot_end_seconds, between which prompts may lie",
        )
    if not shot[0] - _SAME_SECONDS <= seconds < shot[1]:
        raise BadRow(
            Reason.INVALID_ROW,
            f"{where}, and outside its shot, which runs from {shot[0]:.3f} to {shot[1]:.3f} s; give it to a clip of "
            "the shot that shows that moment",
        )
    return _frame_of_shot(seconds, window_of(row), shot)


def _shot(row: Row) -> tuple[float, float] | None:
    """Start and end of the clip's shot, if the row names them and frames between them can be numbered."""
    bounds = row.get("shot_start_seconds"), row.get("shot_end_seconds")
    if bounds[0] is None or bounds[1] is None:
        return None
    start, end = float(bounds[0]), float(bounds[1])
    spacing = row["frame_step"] / row["fps"]
    is_sound = max(abs(start), abs(end)) <= MAX_SECONDS and _MIN_SPACING_SECONDS <= spacing <= MAX_SECONDS
    return (start, end) if is_sound else None


def _frame_of_shot(seconds: float, window: ClipWindow, shot: tuple[float, float]) -> int:
    """Number of the sample outside the clip nearest to a time, among those within the shot and the clip's own."""
    samples, spacing = window.sample_seconds(), window.frame_step / window.fps
    first, last = float(samples[0]), float(samples[-1])
    if seconds < first:
        earliest = math.ceil((shot[0] - _SAME_SECONDS - first) / spacing)
        return min(max(round((seconds - first) / spacing), earliest), 0)
    # A frame that begins up to a quarter of a source frame after the sample time counts as on display.
    latest = math.ceil((shot[1] - 0.25 / window.fps - last) / spacing) - 1
    return window.num_frames - 1 + max(min(round((seconds - last) / spacing), latest), 0)


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
