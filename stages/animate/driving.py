"""Stage that decodes the driving video or clip."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from models.animation.signals import FACE_CONTROL
from stages.base import Row, Stage
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.outcome import BadRow, Reason

PART_FIELDS = (
    *("uri", "fingerprint", "size_bytes", "width_px", "height_px"),
    *("start_seconds", "num_frames", "frame_step", "fps"),
)
"""Description of a part of a video: a clip's columns."""


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
    """Decodes a part of a video, or a prepared clip: `driving_frames`, (T, H, W, 3) uint8 RGB.

    Their size is that of the settings; for a model that keeps the scene or reads the driving face, at least that of its
    output.

    Frame i is the one displayed i / fps seconds after the start, so that an animation at `fps` keeps the timing of the
    video, even with a variable frame rate.
    """

    name = "driving"
    version = 2  # no larger than the output where both of its sides are given
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_uri", "clip", "start_seconds", "duration_seconds"),
            *("model_spec", "width_px", "height_px"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_frames", "driving_fingerprint", "driving_width_px", "driving_height_px", "frame_seconds"),
            *("num_frames", "fps", "driving_audio", "has_audio", "driving_part"),
        }
    )
    transient: ClassVar[frozenset[str]] = frozenset({"driving_frames", "driving_audio", "driving_part"})

    def open(self) -> None:
        """Create the reader."""
        self.reader = ClipReader(self.config.decode)

    def process(self, row: Row) -> Row:
        """Frames, size, timing and sound of the clip, or of the part of `driving_uri`; `driving_part` describes it as
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
        spec = row["model_spec"]
        keeps_scene = spec["keeps_scene"]
        shows_frames = keeps_scene or FACE_CONTROL in spec["signals"]
        decoded = self.reader.frames(clip, short_side_px=self._short_side_px(row) if shows_frames else None)
        keep_audio = keeps_scene if self.config.keep_audio is None else self.config.keep_audio
        audio = self.reader.audio(clip) if keep_audio else None
        return {
            "driving_frames": decoded.frames,
            "driving_fingerprint": clip["fingerprint"],
            "driving_width_px": decoded.frames.shape[2],
            "driving_height_px": decoded.frames.shape[1],
            "frame_seconds": decoded.frame_seconds,
            "num_frames": len(decoded.frames),
            "fps": clip["fps"] / clip["frame_step"],
            "driving_audio": audio,
            "has_audio": audio is not None,
            "driving_part": {name: clip[name] for name in PART_FIELDS},
        }

    def _short_side_px(self, row: Row) -> int:
        # One side alone may be the longer one: the other follows from an aspect ratio that is not known yet.
        given: list[int] = [row[name] for name in ("width_px", "height_px") if row[name] is not None]
        return max(self.config.decode.short_side_px, min(given, default=row["model_spec"]["short_side_px"]))

    def close(self) -> None:
        """Close the reader."""
        self.reader.close()


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
    step = max(1, math.floor(facts["fps"] / max_fps + 0.5)) if max_fps else 1
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
    return {
        "uri": uri,
        "fingerprint": facts["fingerprint"],
        "size_bytes": facts["size_bytes"],
        "width_px": facts["width_px"],
        "height_px": facts["height_px"],
        "start_seconds": facts["start_seconds"] + offset_seconds,
        "num_frames": max(1, math.floor(seconds / spacing_seconds + 1e-3)),
        "frame_step": step,
        "fps": facts["fps"],
    }
