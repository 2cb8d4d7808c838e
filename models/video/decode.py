"""Clip decoding with PyAV: sampled by timestamp, resized once, and checked for damage."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from models.video.clip_writer import ClipTarget, ClipWriter
from models.video.container import MediaLimits, VideoFile, describe, open_video
from models.video.errors import MediaError
from models.video.timeline import Timeline, next_packet, read_timeline
from models.video.window import (
    AllocateFrames,
    ClipWindow,
    DecodedClip,
    allocate_array,
    check_clip_bytes,
)
from models.video.zero_runs import zero_run_detector

_SEEK_BACK_SECONDS = (0.0, 1.0, 10.0)
"""Offsets for repeated seeks: with reordered frames, a seek may land after the requested frame."""

_NO_SEEK_ERRORS = ("TooLarge", "OutOfMemory", "SizeChange", "UnsupportedColour", "UnsupportedOrientation")
"""Reasons that decoding from the start would give as well."""

_MAX_REORDER_FRAMES = 16
"""Maximum distance in packets between decoding and display of a frame (H.264, A.3.1: max_dec_frame_buffering)."""


def decode_clip(
    path: str,
    window: ClipWindow,
    *,
    short_side_px: int,
    multiple: int,
    limits: MediaLimits,
    allocate: AllocateFrames = allocate_array,
) -> DecodedClip:
    """Decode the frames of `window`, upright, deinterlaced, in sRGB or BT.709, and resized to the working size.

    Only the packets from a keyframe to each sampled frame are decoded. After an error that follows a seek, the file is
    decoded again from its start, so that a seek error is never reported as damage.

    Raises:
        MediaError: SizeChange if the aspect ratio changes within the window; UnsupportedColour or
            UnsupportedOrientation if a frame cannot be converted;
            MissingFrames if the file has no frame for a sample time of the window, or the decoder does not
            output it; CorruptFrames if a sampled frame, or a frame that it depends on, is damaged; and the errors of
            `open_video`.
    """
    check_clip_bytes(window, multiple, multiple, limits)  # before allocation of arrays as long as the window
    target = ClipTarget(window, short_side_px, multiple, limits, allocate)
    with open_video(path, limits) as video:
        sought = _seek(video, window, limits)
        if sought is not None:
            try:
                return _decode(video, sought, target)
            except MediaError as error:
                if error.reason in _NO_SEEK_ERRORS:
                    raise
    with open_video(path, limits) as video:
        timeline = read_timeline(video, limits, until_ticks=_last_ticks(video, window))
    with open_video(path, limits) as video:
        return _decode(video, _Run(timeline, None), target)


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive packets, and the seek position that they follow (None: the start of the file)."""

    timeline: Timeline
    seek_ticks: int | None


def _seek(video: VideoFile, window: ClipWindow, limits: MediaLimits) -> _Run | None:
    """Packets from a keyframe at or before the window's start; None if no seek reaches one."""
    tick_seconds = float(video.stream.time_base)
    start_ticks = math.floor((window.start_seconds + window.tolerance_seconds(tick_seconds)) / tick_seconds)
    for back_seconds in _SEEK_BACK_SECONDS:
        seek_ticks = start_ticks - round(back_seconds / tick_seconds)
        try:
            video.container.seek(seek_ticks, stream=video.stream)
            timeline = read_timeline(video, limits, until_ticks=_last_ticks(video, window))
        except (av.error.FFmpegError, MediaError):
            continue  # decoding from the start reports the error, if there is one
        if timeline.has_pts and int(timeline.ticks[0]) <= start_ticks:
            return _Run(timeline, seek_ticks)
    return None


def _last_ticks(video: VideoFile, window: ClipWindow) -> int:
    tick_seconds = float(video.stream.time_base)
    last_seconds = float(window.sample_seconds()[-1]) + window.tolerance_seconds(tick_seconds)
    return math.ceil(last_seconds / tick_seconds)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Packets to decode for a window."""

    places: dict[int, list[int]]
    """Presentation tick of a sampled frame -> its indices in the clip (several if it is sampled repeatedly)."""
    is_needed: np.ndarray[Any, np.dtype[np.bool_]]
    """(N) packets to decode."""
    ticks: np.ndarray[Any, np.dtype[np.int64]]
    """(T) presentation tick of each frame of the clip."""
    num_source_frames: int
    """Number of displayed frames from the first sampled to the last."""


def frames_on_display(path: str, window: ClipWindow, timeline: Timeline) -> np.ndarray[Any, np.dtype[np.intp]]:
    """(T) index, in display order, of the frame on display at each sample time of the window.

    Raises:
        MediaError: MissingFrames if the window begins before the first frame or ends after the last.
    """
    tick_seconds = timeline.tick_seconds
    shown_ticks = timeline.shown_ticks()
    moments = window.sample_seconds()
    latest = (moments + window.tolerance_seconds(tick_seconds)) / tick_seconds
    ranks = np.searchsorted(shown_ticks, latest, side="right") - 1
    if ranks[0] < 0:
        first_seconds = shown_ticks[0] * tick_seconds
        text = f"{path}: the window begins at {moments[0]:.4f} s, the first frame at {first_seconds:.4f} s"
        raise MediaError("MissingFrames", text)
    end_seconds = timeline.end_ticks * tick_seconds
    if timeline.complete and moments[-1] > end_seconds:
        text = f"{path}: the window wants a frame at {moments[-1]:.4f} s, the video ends at {end_seconds:.4f} s"
        raise MediaError("MissingFrames", text)
    return ranks


def _plan(path: str, window: ClipWindow, timeline: Timeline) -> _Plan:
    """Choose the frames of the window and the packets to decode for them."""
    order = np.flatnonzero(timeline.is_shown)
    order = order[np.argsort(timeline.ticks[order], kind="stable")]
    ranks = frames_on_display(path, window, timeline)
    chosen = order[ranks]
    places: dict[int, list[int]] = {}
    for place, tick in enumerate(timeline.ticks[chosen]):
        places.setdefault(int(tick), []).append(place)
    is_needed = np.zeros(len(timeline.ticks), dtype=bool)
    keys = np.flatnonzero(timeline.is_key)
    for packet in np.unique(chosen):
        starts = keys[: np.searchsorted(keys, packet, side="right")]
        # A frame stored after a keyframe but displayed before it belongs to the previous group of pictures.
        starts = starts[timeline.ticks[starts] <= timeline.ticks[packet]]
        first = starts[-1] if len(starts) else 0
        is_needed[first : packet + 1] = True
    if not timeline.has_pts:  # frames are identified by counting them, so all must be decoded
        is_needed[: np.flatnonzero(is_needed)[-1] + _MAX_REORDER_FRAMES + 1] = True
    return _Plan(places, is_needed, timeline.ticks[chosen], int(ranks[-1] - ranks[0]) + 1)


def _decode(video: VideoFile, run: _Run, target: ClipTarget) -> DecodedClip:
    plan = _plan(video.path, target.window, run.timeline)
    if run.seek_ticks is None:
        plan.is_needed[: np.flatnonzero(plan.is_needed)[-1]] = True  # skipping packets may fail like seeking
    else:
        video.container.seek(run.seek_ticks, stream=video.stream)
    writer = ClipWriter(video, target)
    missing = set(plan.places)
    for tick, frame in _decoded_frames(video, run.timeline, plan):
        if tick in missing:
            missing.remove(tick)
            writer.write(frame, plan.places[tick])
    if missing or writer.frames is None:
        seconds = ", ".join(f"{tick * run.timeline.tick_seconds:.4f}" for tick in sorted(missing)[:5])
        text = f"{video.path}: {len(missing)} of {len(plan.places)} frames do not come out, at {seconds} s …"
        raise MediaError("MissingFrames", text)
    return DecodedClip(
        frames=writer.frames,
        frame_seconds=plan.ticks.astype(np.float64) * run.timeline.tick_seconds,
        num_source_frames=plan.num_source_frames,
    )


def _decoded_frames(video: VideoFile, timeline: Timeline, plan: _Plan) -> Iterator[tuple[int, Any]]:
    """Yield (presentation tick, frame) for every frame of the needed packets, in display order.

    Raises:
        MediaError: DecodeError if a packet does not decode, CorruptFrames if it decodes but is damaged.
    """
    codec = video.stream.codec_context
    reorder_depth = codec.reorder_depth
    has_zero_run = zero_run_detector(codec)
    # Non-reference pictures between sampled frames need no decoding. Only H.264 guarantees that none refers to them.
    can_skip = codec.name == "h264" and timeline.has_pts
    counted = iter(timeline.shown_ticks())
    packets = video.container.demux(video.stream)
    running = False
    for position in range(-timeline.num_skipped, int(np.flatnonzero(plan.is_needed)[-1]) + 1):
        packet = next_packet(video, packets, position)
        if position < 0:
            continue
        tick = int(timeline.ticks[position])
        if packet is None or (timeline.has_pts and timeline.is_shown[position] and packet.pts != tick):
            raise MediaError("DecodeError", f"{video.path}: reading it twice gave different packets at {position}")
        frames: list[Any] = []
        with _damage_at(video, tick * timeline.tick_seconds):
            if plan.is_needed[position]:
                if timeline.is_corrupt[position]:
                    raise _Damaged("a piece of the file is missing")
                if has_zero_run(bytes(packet)):
                    raise _Damaged("zeros in place of data")
                if can_skip:
                    codec.skip_frame = "DEFAULT" if tick in plan.places else "NONREF"
                frames += video.decode(packet)
                running = True
            if running and not plan.is_needed[position + 1 : position + 2].any():
                frames += video.decode(None)
                codec.flush_buffers()
                codec.reorder_depth = reorder_depth  # otherwise frames are lost until ffmpeg has estimated it again
                running = False
            if any(frame.is_corrupt for frame in frames):
                raise _Damaged("the decoder had to guess parts of the picture")
        for frame in frames:
            yield (frame.pts if timeline.has_pts else int(next(counted))), frame


class _Damaged(Exception):  # noqa: N818 (internal: becomes a MediaError)
    """A packet or a frame decoded from it is damaged."""


@contextlib.contextmanager
def _damage_at(video: VideoFile, seconds: float) -> Iterator[None]:
    """Convert errors of the block, raised or only logged by ffmpeg, to a MediaError with the time in the video."""
    num_errors = len(video.decoder_errors())
    try:
        yield
        if errors := video.decoder_errors()[num_errors:]:
            raise _Damaged(errors[0])
    except _Damaged as damage:
        raise MediaError("CorruptFrames", f"{video.path} is damaged near {seconds:.4f} s: {damage}") from damage
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        text = f"{video.path} cannot be decoded at {seconds:.4f} s: {describe(error, video.log)}"
        raise MediaError("DecodeError", text) from error
