"""Timeline of a video: presentation timestamps of its packets, read without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from models.video.container import MediaLimits, VideoFile, describe
from models.video.errors import MediaError

_VP8_SHOW_FRAME = 0x10
"""Bit of the first byte of a VP8 frame (RFC 6386, section 9.1), unset in alternative reference frames."""

_MAX_STEP_BACK_SECONDS = 1.0
"""Decoding times increase; a larger decrease means that recordings were concatenated without new timestamps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """N packets of one video stream in decoding order, starting at a keyframe."""

    ticks: np.ndarray[Any, np.dtype[np.int64]]
    """(N) presentation time in ticks of `time_base`, or the decoding time if `has_pts` is false. 0 for packets that are
    not displayed and have no time."""
    is_key: np.ndarray[Any, np.dtype[np.bool_]]
    """(N) whether decoding can start at the packet."""
    is_shown: np.ndarray[Any, np.dtype[np.bool_]]
    """(N) false for packets outside the edit list, empty packets (repeats) and frames used only as references."""
    is_corrupt: np.ndarray[Any, np.dtype[np.bool_]]
    """(N) whether the container marks the packet as damaged."""
    has_pts: bool
    """See `has_presentation_times`."""
    time_base: Fraction
    end_ticks: int
    """End of the display time of the last frame."""
    num_skipped: int
    """Number of packets before the first keyframe."""
    complete: bool
    """Whether the timeline reaches the end of the file."""

    @property
    def tick_seconds(self) -> float:
        """Length of a tick in seconds."""
        return float(self.time_base)

    def shown_ticks(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Presentation times of the displayed frames, ascending."""
        return np.sort(self.ticks[self.is_shown])


def has_presentation_times(video: VideoFile) -> bool:
    """Whether the file has presentation times.

    AVI stores none, and ffmpeg's estimate is wrong for reordered frames. In that case only the order of the decoder's
    output is reliable, so the i-th frame is displayed at the i-th decoding time.
    """
    return bool(video.container.format.name != "avi" or video.stream.codec_context.reorder_depth == 0)


class TimelineReader:
    """Builder of a Timeline from the packets of one stream."""

    def __init__(self, video: VideoFile, limits: MediaLimits) -> None:
        self.video = video
        self.limits = limits
        self.hides_frames = video.stream.codec_context.name in ("vp8", "libvpx-vp8")
        self.rows: list[tuple[int | None, int | None, int, bool, bool, bool]] = []
        self.num_skipped = 0
        self.latest_dts = -(2**62)

    def add(self, packet: Any) -> None:
        """Add the next packet of the stream, in file order."""
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
        """Timeline of the packets added so far.

        Raises:
            MediaError: the container is damaged, no frame is displayed, or a displayed frame has no timestamp.
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
        """Duration of the last frame in ticks: as stored, else the median frame interval, else 1 / frame rate."""
        stored = self.rows[last][2]
        if stored > 0:
            return stored
        if len(shown_ticks) > 1:
            return int(np.median(np.diff(shown_ticks)))
        rate = self.video.stream.guessed_rate
        return round(1 / (rate * self.video.stream.time_base)) if rate else 0


def is_end_marker(packet: Any) -> bool:
    """Whether the packet is the empty one that PyAV yields at the end of each stream."""
    return packet.size == 0 and packet.dts is None and packet.pts is None


def read_timeline(video: VideoFile, limits: MediaLimits, *, until_ticks: int) -> Timeline:
    """Read packets from the current position until every frame displayed up to `until_ticks` is included.

    Raises:
        MediaError: the file is truncated, or no frame is displayed.
    """
    reader = TimelineReader(video, limits)
    packets = video.container.demux(video.stream)
    while (packet := next_packet(video, packets, len(reader.rows))) is not None:
        reader.add(packet)
        # No frame is displayed before it is decoded, so all further frames are later than `until_ticks`.
        if packet.dts is not None and packet.dts > until_ticks:
            return reader.timeline(complete=False)
    return reader.timeline(complete=True)


def next_packet(video: VideoFile, packets: Any, num_read: int) -> Any | None:
    """Next packet of `packets`, or None at the end of the file.

    Raises:
        MediaError: the file ends before the data referenced by its index.
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
