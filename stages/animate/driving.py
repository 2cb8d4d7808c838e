"""Stage that decodes the driving video or clip."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from stages.base import Row, Stage
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.outcome import BadRow, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class DrivingConfig:
    """Settings for driving videos.

    Args:
        decode: decoder settings; its size is the input size of perception.
        max_fps: approximate maximum frame rate, reached by skipping frames; None: all frames.
        max_frames: maximum number of frames; a longer part is an error.
        keep_audio: copy the sound of the driving part, if it has any, to the animation.
    """

    decode: DecodeConfig = field(default_factory=lambda: DecodeConfig(short_side_px=384))
    max_fps: float | None = None
    max_frames: int = field(default=600, metadata={"in_key": False})
    keep_audio: bool = False

    def __post_init__(self) -> None:
        if (self.max_fps is not None and not self.max_fps > 0) or self.max_frames < 1:
            raise ValueError(f"expected max_fps > 0 and max_frames >= 1, got {self.max_fps} and {self.max_frames}")


class DrivingStage(Stage[DrivingConfig]):
    """Decodes a part of a video, or a prepared clip: `driving_frames`, (T, H, W, 3) uint8 RGB.

    Frame i is the one displayed i / fps seconds after the start, so that an animation at `fps` keeps the timing of the
    video, even with a variable frame rate.
    """

    name = "driving"
    reads: ClassVar[frozenset[str]] = frozenset({"driving_uri", "clip", "start_seconds", "duration_seconds"})
    writes: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_frames", "driving_fingerprint", "driving_width_px", "driving_height_px", "frame_seconds"),
            *("num_frames", "fps", "driving_audio", "has_audio"),
        }
    )
    transient: ClassVar[frozenset[str]] = frozenset({"driving_frames", "driving_audio"})

    def open(self) -> None:
        """Create the reader."""
        self.reader = ClipReader(self.config.decode)

    def process(self, row: Row) -> Row:
        """Frames, size, timing and sound of the clip, or of the part of `driving_uri`."""
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
        decoded = self.reader.frames(clip)
        audio = self.reader.audio(clip) if self.config.keep_audio else None
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
        }

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
    """Describe a part of a video as a clip, with the columns that `ClipReader.frames` reads.

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
        "start_seconds": facts["start_seconds"] + offset_seconds,
        "num_frames": max(1, math.floor(seconds / spacing_seconds + 1e-3)),
        "frame_step": step,
        "fps": facts["fps"],
    }
