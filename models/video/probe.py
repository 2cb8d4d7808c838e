"""Properties of a video file, computed from its timestamps; only the first frame is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace

from models.video.colour import assumed_matrix, check_colour, describe_colour, mapping_of
from models.video.container import MediaLimits, VideoFile, describe, open_video
from models.video.errors import MediaError
from models.video.orientation import Orientation, orientation_of
from models.video.timeline import Timeline, TimelineReader, next_packet

_CLAIM_TOLERANCE_SECONDS = 0.5
"""Headers round durations and include audio padding; a file shorter by more than this is truncated."""

_MAX_PIXEL_ASPECT = 4
"""More extreme pixel aspect ratios come from damaged headers and are treated as 1, as players do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """Properties of a video file."""

    container: str
    """ffmpeg's format name, such as `mov,mp4,m4a,3gp,3g2,mj2`."""
    codec: str
    pixel_format: str
    width_px: int
    """Displayed width: after rotation and correction of the pixel aspect ratio."""
    height_px: int
    rotation_degrees: int
    """Counter-clockwise rotation that makes the coded picture upright, after mirroring: 0, 90, 180 or 270."""
    mirrored: bool
    """Whether the coded picture is flipped left to right."""
    interlaced: bool
    colour: str
    """Colour space as the file states it; see `models.video.colour.describe_colour`."""
    frame_conversion: str | None
    """Steps of decoding beyond the conversion to RGB, joined with `+`, or None: `tone-mapped-pq`, `tone-mapped-hlg`,
    `gamut-mapped`, `bt709-assumed` (no matrix is stated), `deinterlaced`, `mirrored`."""
    fps: float
    """Constant frame rate if it matches every timestamp, else the inverse of the median frame interval."""
    variable_frame_rate: bool
    num_frames: int
    start_seconds: float
    """Timestamp of the first frame, not necessarily 0."""
    duration_seconds: float
    """From the first timestamp to the end of the last frame."""
    has_audio: bool


def probe(path: str, limits: MediaLimits) -> VideoInfo:
    """Properties of the file at `path`.

    Raises:
        MediaError: the file is not a video, exceeds a limit, is damaged, or has fewer frames than its header declares.
    """
    with open_video(path, limits) as video:
        timeline = read_whole_timeline(video, limits)
        stream, codec = video.stream, video.stream.codec_context
        ticks = timeline.shown_ticks()
        fps, variable = frame_rate(ticks, timeline, (stream.average_rate, stream.guessed_rate))
        duration_seconds = (timeline.end_ticks - int(ticks[0])) * timeline.tick_seconds
        if duration_seconds > limits.max_duration_seconds:
            text = f"{path} lasts {duration_seconds:.0f} s, more than the {limits.max_duration_seconds:.0f} s allowed"
            raise MediaError("TooLarge", text)
        facts = {
            "container": video.container.format.name,
            "codec": codec.codec.canonical_name,
            "fps": fps,
            "variable_frame_rate": variable,
            "num_frames": len(ticks),
            "start_seconds": int(ticks[0]) * timeline.tick_seconds,
            "duration_seconds": duration_seconds,
            "has_audio": any(other.type == "audio" for other in video.container.streams),
        }
    with open_video(path, limits) as video:
        frame = first_frame(video)
        check_colour(video, frame)
        orientation = orientation_of(frame)
        width, height = display_size(frame.width, frame.height, pixel_aspect(video), orientation)
        return VideoInfo(
            pixel_format=frame.format.name,
            width_px=width,
            height_px=height,
            rotation_degrees=orientation.rotation_degrees,
            mirrored=orientation.mirrored,
            interlaced=bool(frame.interlaced_frame),
            colour=describe_colour(frame),
            frame_conversion=_frame_conversion(frame, orientation),
            **facts,
        )


def frame_times(path: str, limits: MediaLimits) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(N) float64 timestamps in seconds of the displayed frames, ascending. Raises as `probe`."""
    with open_video(path, limits) as video:
        timeline = read_whole_timeline(video, limits)
        return timeline.shown_ticks().astype(np.float64) * timeline.tick_seconds


def _frame_conversion(frame: Any, orientation: Orientation) -> str | None:
    mapping = mapping_of(frame)
    applied = {
        "gamut-mapped" if mapping == "gamut" else f"tone-mapped-{mapping}": mapping is not None,
        "bt709-assumed": assumed_matrix(frame) == Colorspace.ITU709,
        "deinterlaced": bool(frame.interlaced_frame),
        "mirrored": orientation.mirrored,
    }
    return "+".join(name for name, is_applied in applied.items() if is_applied) or None


def read_whole_timeline(video: VideoFile, limits: MediaLimits) -> Timeline:
    """Timestamps of the whole file, checked against its header and index.

    Raises:
        MediaError: MissingFrames if the file is truncated.
    """
    reader = TimelineReader(video, limits)
    num_packets = 0
    end_seconds = -np.inf
    packets = video.container.demux()
    while (packet := next_packet(video, packets, len(reader.rows))) is not None:
        if packet.stream_index == video.stream.index:
            reader.add(packet)
            num_packets += 1
        if packet.pts is not None:
            end_seconds = max(end_seconds, (packet.pts + (packet.duration or 0)) * float(packet.time_base))
    num_indexed = len(video.stream.index_entries)
    if num_packets < num_indexed:
        text = f"{video.path} is cut short: its index names {num_indexed} frames, {num_packets} are there"
        raise MediaError("MissingFrames", text)
    timeline = reader.timeline(complete=True)
    _check_claimed_duration(video, end_seconds)
    return timeline


def _check_claimed_duration(video: VideoFile, end_seconds: float) -> None:
    """Compare the end of the last packet of any stream with the header's duration, if it has one."""
    container = video.container
    if container.duration is None:
        return
    claimed_seconds = container.duration / 1_000_000
    # Some formats count from the first timestamp, some from zero.
    actual_seconds = max(end_seconds, end_seconds - (container.start_time or 0) / 1_000_000)
    if actual_seconds < claimed_seconds - _CLAIM_TOLERANCE_SECONDS:
        text = f"{video.path} is cut short: {claimed_seconds:.2f} s by its header, {actual_seconds:.2f} s are there"
        raise MediaError("MissingFrames", text)


def frame_rate(
    ticks: np.ndarray[Any, np.dtype[np.int64]], timeline: Timeline, stated: Sequence[Fraction | None]
) -> tuple[float, bool]:
    """Frame rate, and whether it is variable.

    The rate is constant if frame k is displayed at `first + k / rate` to within one tick: each timestamp is rounded by
    up to half a tick. Rates stated in the file are tried first, so that 29.97 becomes exactly 30000/1001.

    Args:
        ticks: (N) ascending presentation times of the displayed frames.
        timeline: timeline of the frames.
        stated: rates stated in the file, in frames per second.

    Raises:
        MediaError: all frames share one timestamp.
    """
    span = int(ticks[-1]) - int(ticks[0]) if len(ticks) > 1 else timeline.end_ticks - int(ticks[0])
    if span <= 0:
        raise MediaError("DecodeError", f"all {len(ticks)} frames have the same timestamp")
    average = Fraction(max(len(ticks) - 1, 1), span) / timeline.time_base
    offsets = ticks - ticks[0]
    for rate in (*stated, average):
        if rate:
            expected = np.arange(len(ticks)) * float(1 / (rate * timeline.time_base))
            if np.abs(offsets - expected).max() <= 1.001:
                return float(rate), False
    # A single long gap would draw an average down by any factor.
    intervals = np.diff(ticks)
    median_ticks = float(np.median(intervals[intervals > 0]))
    return 1 / (median_ticks * timeline.tick_seconds), True


def first_frame(video: VideoFile) -> Any:
    """Decode the first decodable frame.

    Raises:
        MediaError: no frame decodes.
    """
    packets = video.container.demux(video.stream)
    num_read = 0
    last_error = ""
    while (packet := next_packet(video, packets, num_read)) is not None:
        num_read += 1
        try:
            if frames := video.decode(packet):
                return frames[0]
        except av.error.InvalidDataError as error:
            last_error = describe(error, video.log)
    if frames := video.decode(None):
        return frames[0]
    raise MediaError("DecodeError", f"none of the {num_read} frames of {video.path} decodes: {last_error}")


def pixel_aspect(video: VideoFile) -> Fraction:
    """Pixel aspect ratio, width over height; 1 if the file states none or an implausible one."""
    stated: Fraction | None = video.stream.codec_context.sample_aspect_ratio
    if not stated or not Fraction(1, _MAX_PIXEL_ASPECT) <= stated <= _MAX_PIXEL_ASPECT:
        return Fraction(1)
    return stated


def display_size(width: int, height: int, aspect: Fraction, orientation: Orientation) -> tuple[int, int]:
    """Displayed width and height: the coded width times the pixel aspect ratio, then turned."""
    width = max(1, round(width * aspect))
    return (height, width) if orientation.swaps_axes else (width, height)
