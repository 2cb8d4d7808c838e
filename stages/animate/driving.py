"""Stage that decodes the driving video or clip."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from models.animation.signals import FACE_CONTROL
from models.video.audio import Samples
from models.video.window import frame_step
from stages.base import Row, Stage
from stages.io.clip_reader import FRAME_COUNTS, ClipReader, DecodeConfig, frame_counts
from stages.outcome import BadRow, Reason

PART_FIELDS = (
    *("uri", "fingerprint", "size_bytes", "width_px", "height_px"),
    *("start_seconds", "num_frames", "frame_step", "fps", "times_seconds"),
    *("shot_start_seconds", "shot_end_seconds"),
)
"""Description of a part of a video: a clip's columns, and the timestamps of its frames where these are uneven. The shot
begins with that of its first frame, and ends with that of its last.
"""

OPTIONAL_PART_FIELDS = frozenset({"size_bytes", "times_seconds", "shot_start_seconds", "shot_end_seconds"})


_SAME_SECONDS = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class DrivingConfig:
    """Settings for driving videos.

    Args:
        decode: decoder settings; its size is the input size of perception.
        max_fps: approximate maximum frame rate, reached by skipping frames; None: all frames.
        max_frames: maximum number of frames; a longer part is an error.
        keep_audio: copy the sound of the driving part, if it has any, to the animation; None: for models that keep the
            scene.
    """

    decode: DecodeConfig = field(default_factory=lambda: DecodeConfig(short_side_px=384))
    max_fps: float | None = None
    max_frames: int = field(default=600, metadata={"in_key": False})
    keep_audio: bool | None = None

    def __post_init__(self) -> None:
        if (self.max_fps is not None and not self.max_fps > 0) or self.max_frames < 1:
            raise ValueError(f"expected max_fps > 0 and max_frames >= 1, got {self.max_fps} and {self.max_frames}")


class DrivingStage(Stage[DrivingConfig]):
    """Decodes a part of a video, or a prepared clip: `decoded_frames`, (T, H, W, 3) uint8 RGB.

    Their size is that of the settings; for a model that keeps the scene or reads the driving face, at least that of its
    output.

    Frame i is the one displayed i / fps seconds after the start. A video with uneven frame times gives each of its
    frames (or every n-th, for `max_fps`), with `decoded_seconds` as their times, and its median rate as `fps`. The
    stage `driving_span` decides which of the frames drive.
    """

    name = "driving"
    version = 4  # the span that drives is cut later
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_uri", "clip", "start_seconds", "duration_seconds"),
            *("model_spec", "width_px", "height_px"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset(
        {
            *("decoded_frames", "decoded_seconds", "decoded_audio", "decoded_part", "sound_fallback"),
            *("driving_fingerprint", "driving_width_px", "driving_height_px", "fps", "driving_conversion"),
            *FRAME_COUNTS,
        }
    )
    transient: ClassVar[frozenset[str]] = frozenset(
        {"decoded_frames", "decoded_seconds", "decoded_audio", "decoded_part", "sound_fallback"}
    )

    def open(self) -> None:
        """Create the reader."""
        self.reader = ClipReader(self.config.decode)

    def process(self, row: Row) -> Row:
        """Frames, size, timing and sound of the clip, or of the part of `driving_uri`; `decoded_part` describes it as
        `ClipReader` reads it, with the display size of the source.
        """
        clip = row["clip"]
        if clip is None:
            clip = part_of_video(
                self.reader,
                row["driving_uri"],
                start_seconds=row["start_seconds"],
                duration_seconds=row["duration_seconds"],
                max_fps=self.config.max_fps,
            )
        if clip["num_frames"] > self.config.max_frames:
            raise BadRow(
                Reason.TOO_LARGE,
                f"the driving part has {clip['num_frames']} frames, {self.config.max_frames} are allowed; give "
                "duration_seconds, lower driving.max_fps, or raise driving.max_frames",
            )
        keeps_scene = row["model_spec"]["keeps_scene"]
        decoded = self.reader.frames(clip, short_side_px=driving_short_side_px(row, self.config.decode))
        keep_audio = keeps_scene if self.config.keep_audio is None else self.config.keep_audio
        audio, sound_fallback = self._sound(clip) if keep_audio else (None, None)
        return {
            "decoded_frames": decoded.frames,
            "decoded_seconds": decoded.frame_seconds,
            "driving_fingerprint": clip["fingerprint"],
            "driving_width_px": decoded.frames.shape[2],
            "driving_height_px": decoded.frames.shape[1],
            "fps": clip["fps"] / clip["frame_step"],
            "decoded_audio": audio,
            "sound_fallback": sound_fallback,
            "decoded_part": {name: clip.get(name) for name in PART_FIELDS},
            "driving_conversion": clip.get("frame_conversion"),
            **frame_counts(decoded),
        }

    def _sound(self, clip: Row) -> tuple[Samples | None, str | None]:
        """Sound of the part; where it cannot be read, None and the entry of `fallbacks`: the pictures are intact."""
        try:
            return self.reader.audio(clip), None
        except BadRow as bad:
            if bad.reason not in (Reason.UNSUPPORTED_CODEC, Reason.DECODE_ERROR):
                raise
            return None, f"no_sound={bad.reason}"

    def close(self) -> None:
        """Close the reader."""
        self.reader.close()


def driving_short_side_px(row: Row, decode: DecodeConfig) -> int:
    """Shorter side to which driving frames are decoded: that of the settings; for a model that keeps the scene or reads
    the driving face, at least that of its output.
    """
    spec = row["model_spec"]
    if not (spec["keeps_scene"] or FACE_CONTROL in spec["signals"]):
        return decode.short_side_px
    # One side alone may be the longer one: the other follows from an aspect ratio that is not known yet.
    given: list[int] = [row[name] for name in ("width_px", "height_px") if row[name] is not None]
    return max(decode.short_side_px, min(given, default=spec["short_side_px"]))


def part_of_video(
    reader: ClipReader,
    uri: str,
    *,
    start_seconds: float | None = None,
    duration_seconds: float | None = None,
    max_fps: float | None = None,
) -> Row:
    """Describe a part of a video as a clip, with the columns `PART_FIELDS`.

    Raises:
        BadRow: the video cannot be opened, or ends before `start_seconds`.
    """
    facts = reader.inspect(uri)
    step = frame_step(facts["fps"], max_fps) if max_fps else 1
    spacing_seconds = step / facts["fps"]
    offset_seconds = start_seconds or 0.0
    rest_seconds = facts["duration_seconds"] - offset_seconds
    # Tolerance of a thousandth of a frame for rounding.
    if rest_seconds <= spacing_seconds * 1e-3:
        raise BadRow(
            Reason.INVALID_ROW,
            f"start_seconds is {offset_seconds:g}, but {uri} lasts {facts['duration_seconds']:g} s",
        )
    seconds = min(rest_seconds, duration_seconds or rest_seconds)
    start = facts["start_seconds"] + offset_seconds
    times = _uneven_times(reader, uri, start, start + seconds)[::step] if facts["variable_frame_rate"] else None
    starts = facts["shot_starts_seconds"]
    last = max(start, start + seconds - spacing_seconds)
    shots = [max(0, bisect_right(starts, at + _SAME_SECONDS) - 1) for at in (start, last)]
    return {
        "uri": uri,
        "fingerprint": facts["fingerprint"],
        "size_bytes": facts["size_bytes"],
        "width_px": facts["width_px"],
        "height_px": facts["height_px"],
        "start_seconds": start if times is None else times[0],
        # A quarter of a source frame of tolerance for rounded timestamps, as in `CutStage`.
        "num_frames": max(1, math.floor(seconds / spacing_seconds + 0.25 / step)) if times is None else len(times),
        "frame_step": step,
        "fps": facts["fps"],
        "times_seconds": times,
        "frame_conversion": facts["frame_conversion"],
        "shot_start_seconds": starts[shots[0]],
        "shot_end_seconds": facts["shot_ends_seconds"][shots[1]],
    }


def _uneven_times(reader: ClipReader, uri: str, start_seconds: float, end_seconds: float) -> list[float]:
    """Timestamps of the frames displayed from `start_seconds` to `end_seconds`, at least one."""
    times = reader.frame_times(uri)
    first = max(0, int(np.searchsorted(times, start_seconds + _SAME_SECONDS, side="right")) - 1)
    last = max(first + 1, int(np.searchsorted(times, end_seconds - _SAME_SECONDS, side="left")))
    result: list[float] = times[first:last].tolist()
    return result
