"""Shot detection: hard cuts, detected by the change between neighbouring frames.

As in PySceneDetect's AdaptiveDetector (scenedetect.com), a cut is a large mean absolute change between neighbouring
frames that exceeds the changes around it. The differences: hue is weighted by chroma, as the hue of dark and grey
pixels is noise; frames are 64 x 36 pixels; a flash (a few deviating frames within one shot) and a change to less than
half of the picture (abrupt motion of a large figure) are not cuts. Fades, dissolves and cuts that keep the background
are not detected. A shot also ends where the displayed size changes, and at a gap without frames.
"""

from __future__ import annotations

import bisect
import contextlib
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from models.video.container import MediaLimits, VideoFile, open_video
from models.video.errors import MediaError
from models.video.orientation import orientation_of
from models.video.pixels import RgbScaler
from models.video.probe import display_size, pixel_aspect
from models.video.timeline import has_presentation_times, next_packet, read_timeline

WIDTH_PX, HEIGHT_PX = 64, 36
_MIN_CHANGE = 12.0
"""Minimum mean change at a cut, 0-255. Of 400 pairs of different shots, 99% differ by 24 or more."""
_MIN_SHARE = 0.45
"""Minimum share of pixels that change by `_PIXEL_CHANGE` at a cut. Measured: up to 0.38 at abrupt motion within shots,
at least 0.52 at cuts."""
_PIXEL_CHANGE = 10.0
_MIN_RATIO = 3.0
"""Minimum ratio of the change at a cut to the mean change of the surrounding frames."""
_NUM_AROUND = 2
"""Number of frames on each side for that mean."""
_FLASH_FRAMES = 2
"""Maximum length of a flash."""

_MIN_GAP_SECONDS, _MIN_GAP_INTERVALS = 1.0, 10.0
"""A gap is at least this long, and this many times the median frame interval: the recording was paused."""

SmallFrame = np.ndarray[Any, np.dtype[np.uint8]]
"""(36, 64, 3) uint8 RGB."""
Image = np.ndarray[Any, np.dtype[np.float32]]
"""(36, 64, 3) float32 in the HSV cone: chroma along two hue axes, and value; 0-255."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """A part of a video without a cut, a gap or a change of size."""

    start_seconds: float
    """Timestamp of the first frame."""
    end_seconds: float
    """End of the display time of the last frame."""
    width_px: int
    height_px: int
    """Displayed size."""


def find_shots(path: str, limits: MediaLimits, *, end_seconds: float) -> list[Shot]:
    """Shots of a video that ends at `end_seconds`, in order, beginning with the first decodable frame.

    Damaged frames are skipped; damage is reported when a clip is decoded.

    Raises:
        MediaError: no frame decodes, or the file cannot be opened.
    """
    seconds: list[float] = []
    sizes: list[tuple[int, tuple[int, int]]] = []  # first frame of each size

    def images() -> Iterator[SmallFrame]:
        for second, size, image in _small_frames(path, limits):
            if not sizes or size != sizes[-1][1]:
                sizes.append((len(seconds), size))
            seconds.append(second)
            yield image

    cuts = find_cuts(images())
    if not seconds:
        raise MediaError("DecodeError", f"no frame of {path} decodes")
    intervals = np.diff(seconds)
    interval = float(np.median(intervals)) if len(intervals) else 0.0
    is_gap = intervals >= max(_MIN_GAP_SECONDS, _MIN_GAP_INTERVALS * interval)
    gaps = [int(frame) + 1 for frame in np.flatnonzero(is_gap)]
    starts = sorted({0, *cuts, *gaps, *(frame for frame, _ in sizes)})
    ends = [seconds[start - 1] + interval if is_gap[start - 1] else seconds[start] for start in starts[1:]]
    shots = []
    for start, end in zip(starts, [*ends, max(end_seconds, seconds[-1])], strict=True):
        width, height = sizes[bisect.bisect_right(sizes, start, key=lambda item: item[0]) - 1][1]
        shots.append(Shot(start_seconds=seconds[start], end_seconds=end, width_px=width, height_px=height))
    return shots


def find_cuts(frames: Iterable[SmallFrame]) -> list[int]:
    """Index of the first frame after each cut. Streams: holds only a few frames at a time."""
    changes, is_wide = [0.0], [False]
    candidates = []
    images: deque[Image] = deque(maxlen=2 * (_FLASH_FRAMES + 1))
    for frame, rgb in enumerate(frames):
        images.append(_cone(rgb))
        if frame:
            changes.append(_change(images[-2], images[-1]))
            is_wide.append(_changed_share(images[-2], images[-1]) >= _MIN_SHARE)
        cut = frame - _FLASH_FRAMES
        if cut > 0 and is_wide[cut] and changes[cut] >= _MIN_CHANGE:
            recent = list(images)
            if not _is_flash(recent[: -1 - _FLASH_FRAMES], recent[-1 - _FLASH_FRAMES :], changes[cut]):
                candidates.append(cut)
    for cut in range(max(1, len(changes) - _FLASH_FRAMES), len(changes)):  # too near the end for the flash test
        if is_wide[cut] and changes[cut] >= _MIN_CHANGE:
            candidates.append(cut)
    return [cut for cut in candidates if _stands_out(changes, cut)]


def _stands_out(changes: list[float], cut: int) -> bool:
    around = [*changes[max(1, cut - _NUM_AROUND) : cut], *changes[cut + 1 : cut + 1 + _NUM_AROUND]]
    return not around or changes[cut] >= _MIN_RATIO * float(np.mean(around))


def _is_flash(before: list[Image], after: list[Image], change: float) -> bool:
    """Whether some frame shortly before the change is similar to one shortly after it, so that the shot continues."""
    return any(_change(one, other) < change / 2 for one in before for other in after)


def _change(first: Image, second: Image) -> float:
    return float(np.abs(first - second).mean())


def _changed_share(first: Image, second: Image) -> float:
    return float((np.abs(first - second).mean(axis=-1) >= _PIXEL_CHANGE).mean())


def _cone(rgb: SmallFrame) -> Image:
    """HSV cone of an RGB frame: chroma as a vector in the direction of the hue, and value."""
    red, green, blue = np.moveaxis(rgb.astype(np.float32), -1, 0)
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    along, across = red - (green + blue) / 2, (green - blue) * np.float32(np.sqrt(3) / 2)
    scale = chroma / np.maximum(np.hypot(along, across), 1)
    return np.stack([along * scale, across * scale, value], axis=-1)


def _small_frames(path: str, limits: MediaLimits) -> Iterator[tuple[float, tuple[int, int], SmallFrame]]:
    """Yield every decodable frame with its timestamp in seconds, strictly ascending, and its displayed size."""
    scaler = RgbScaler(maps_colours=False)  # cuts show in any colours
    counted_ticks = _counted_ticks(path, limits)
    last_tick = -math.inf
    with open_video(path, limits) as video:
        for frame in _decodable_frames(video, limits):
            tick = frame.pts if counted_ticks is None else next(counted_ticks, None)
            if tick is None or tick <= last_tick:
                continue
            last_tick = tick
            small = np.empty((HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
            scaler.write(frame, small)
            size = display_size(frame.width, frame.height, pixel_aspect(video), orientation_of(frame))
            yield tick * float(video.stream.time_base), size, small


def _counted_ticks(path: str, limits: MediaLimits) -> Iterator[int] | None:
    """Ticks to assign to the frames in display order, for a file without presentation times; else None."""
    with open_video(path, limits) as video:
        if has_presentation_times(video):
            return None
        ticks: list[int] = read_timeline(video, limits, until_ticks=2**62).shown_ticks().tolist()
        return iter(ticks)


def _decodable_frames(video: VideoFile, limits: MediaLimits) -> Iterator[Any]:
    """Frames of the whole file in display order, without deblocking, which has no effect at 64 x 36 pixels."""
    codec = video.stream.codec_context
    codec.options = {**codec.options, "skip_loop_filter": "all"}
    packets = video.container.demux(video.stream)
    for num_read in range(limits.max_frames):
        packet = next_packet(video, packets, num_read)
        with contextlib.suppress(av.error.InvalidDataError):  # a damaged packet; the next may be intact
            yield from video.decode(packet)
        if packet is None:
            return
