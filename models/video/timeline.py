"""When each frame of a video is shown: the presentation timestamps of its packets, read without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from models.video.container import MediaLimits, VideoFile, describe
from models.video.errors import MediaError

_VP8_SHOW_FRAME = 0x10
"""Bit of the first byte of a VP8 frame (RFC 6386, section 9.1); alternative reference frames are never shown."""

_MAX_STEP_BACK_SECONDS = 1.0
"""Decoding times only grow; a greater step back means that recordings were joined without new timestamps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """The packets of one video stream in decoding order, N in all, from a keyframe on."""

    ticks: np.ndarray[Any, np.dtype[np.int64]]
    """(N) presentation time in ticks of `time_base`; the decoding time where `has_pts` is false. 0 where not shown and
    not stated."""
    is_key: np.ndarray[Any, np.dtype[np.bool_]]
    """(N) decoding can start here."""
    is_shown: np.ndarray[Any, np.dtype[np.bool_]]
    """(N) false for what an edit list cuts off, repeats (empty packets) and frames that serve only as references."""
    is_corrupt: np.ndarray[Any, np.dtype[np.bool_]]
    """(N) the container knows this packet to be damaged."""
    has_pts: bool
    """See `has_presentation_times`."""
    time_base: Fraction
    end_ticks: int
    """When the last frame shown goes off the screen."""
    num_skipped: int
    """Packets passed over to reach the first keyframe."""
    complete: bool
    """Reaches the end of the file."""

    @property
    def tick_seconds(self) -> float:
        """Length of one tick."""
        return float(self.time_base)

    def shown_ticks(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Presentation times of the frames shown, ascending."""
        return np.sort(self.ticks[self.is_shown])


def has_presentation_times(video: VideoFile) -> bool:
    """Whether the file says when each frame is shown.

    AVI does not, and ffmpeg's guess is wrong where frames are reordered. Then all that is known is that frames come out
    of the decoder in the right order, so the i-th of them is shown at the i-th decoding time.
    """
    return bool(video.container.format.name != "avi" or video.stream.codec_context.reorder_depth == 0)


class TimelineReader:
    """Collects the packets of one stream into a Timeline."""

    def __init__(self, video: VideoFile, limits: MediaLimits) -> None:
        self.video = video
        self.limits = limits
        self.hides_frames = video.stream.codec_context.name in ("vp8", "libvpx-vp8")
        self.rows: list[tuple[int | None, int | None, int, bool, bool, bool]] = []
        self.num_skipped = 0
        self.latest_dts = -(2**62)

    def add(self, packet: Any) -> None:
        """Take the next packet of the stream, in the order of the file."""
        if not self.rows and not packet.is_keyframe:
            self.num_skipped += 1
            return
        if len(self.rows) >= self.limits.max_frames:
            raise MediaError("TooLarge", f"{self.video.path} has more than the {self.limits.max_frames} frames allowed")
        if packet.dts is not None:
            if (packet.dts - self.latest_dts) * float(packet.time_base) < -_MAX_STEP_BACK_SECONDS:
                seconds = packet.dts * float(packet.time_base)
                text = f"{self.video.path} starts its timestamps again, at {seconds:.2f} s; split it, or write it anew"
                raise MediaError("DecodeError", text)
            self.latest_dts = max(self.latest_dts, packet.dts)
        shown = packet.size > 0 and not packet.is_discard
        if shown and self.hides_frames:
            shown = bool(bytes(packet)[0] & _VP8_SHOW_FRAME)
        row = (packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, shown, packet.is_corrupt)
        self.rows.append(row)

    def timeline(self, *, complete: bool) -> Timeline:
        """What was collected.

        Raises:
            MediaError: there is no frame to show, or no time to show it at.
        """
        path = self.video.path
        if errors := self.video.container_errors():
            raise MediaError("DecodeError", f"{path} is damaged: {errors[0]}")
        if not any(shown for *_, shown, _ in self.rows):
            raise MediaError("DecodeError", f"{path} holds no frame that can be shown, or no keyframe to start at")
        has_pts = has_presentation_times(self.video)
        times = [pts if has_pts else dts for pts, dts, *_ in self.rows]
        is_shown = np.array([row[4] for row in self.rows])
        if any(time is None for time, shown in zip(times, is_shown, strict=True) if shown):
            raise MediaError("DecodeError", f"{path} has frames without a timestamp")
        ticks = np.array([0 if time is None else time for time in times], dtype=np.int64)
        time_base = self.video.stream.time_base
        last = int(np.argmax(np.where(is_shown, ticks, np.iinfo(np.int64).min)))
        return Timeline(
            ticks=ticks,
            is_key=np.array([row[3] for row in self.rows]),
            is_shown=is_shown,
            is_corrupt=np.array([row[5] for row in self.rows]),
            has_pts=has_pts,
            time_base=time_base,
            end_ticks=int(ticks[last]) + self._last_duration(last, np.sort(ticks[is_shown])),
            num_skipped=self.num_skipped,
            complete=complete,
        )

    def _last_duration(self, last: int, shown_ticks: np.ndarray[Any, np.dtype[np.int64]]) -> int:
        """Ticks of the last frame: as stored, else the usual distance between frames, else one over the frame rate."""
        stored = self.rows[last][2]
        if stored > 0:
            return stored
        if len(shown_ticks) > 1:
            return int(np.median(np.diff(shown_ticks)))
        rate = self.video.stream.guessed_rate
        return round(1 / (rate * self.video.stream.time_base)) if rate else 0


def is_end_marker(packet: Any) -> bool:
    """Whether this is the empty packet that PyAV yields for each stream after the last one."""
    return packet.size == 0 and packet.dts is None and packet.pts is None


def read_timeline(video: VideoFile, limits: MediaLimits, *, until_ticks: int) -> Timeline:
    """The packets from the current position on, as far as needed to know every frame shown up to `until_ticks`.

    Raises:
        MediaError: the file breaks off, or holds nothing to show.
    """
    reader = TimelineReader(video, limits)
    packets = video.container.demux(video.stream)
    while (packet := next_packet(video, packets, len(reader.rows))) is not None:
        reader.add(packet)
        # Nothing is shown before it is decoded, so from here on everything is later than `until_ticks`.
        if packet.dts is not None and packet.dts > until_ticks:
            return reader.timeline(complete=False)
    return reader.timeline(complete=True)


def next_packet(video: VideoFile, packets: Any, num_read: int) -> Any | None:
    """The next packet of `packets`, or None at the end of the file.

    Raises:
        MediaError: the file breaks off before the data that its index names.
    """
    try:
        for packet in packets:
            if not is_end_marker(packet):
                return packet
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        text = f"{video.path} breaks off after {num_read} packets: {describe(error, video.log)}"
        raise MediaError("MissingFrames", text) from error
    return None
