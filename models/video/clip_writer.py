"""Writing of decoded frames into the array of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.video.colour import check_colour
from models.video.container import MediaLimits, VideoFile
from models.video.deinterlace import deinterlaced
from models.video.errors import MediaError
from models.video.orientation import Orientation, orientation_of
from models.video.pixels import RgbScaler
from models.video.probe import display_size, pixel_aspect
from models.video.window import AllocateFrames, ClipWindow, Frames, check_clip_bytes, working_size

_ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class ClipTarget:
    """Clip to write: its window, size, limits and memory; the arguments of `decode_clip`."""

    window: ClipWindow
    short_side_px: int
    multiple: int
    limits: MediaLimits
    allocate: AllocateFrames


class ClipWriter:
    """Resizes, converts and turns frames into the clip array."""

    def __init__(self, video: VideoFile, target: ClipTarget) -> None:
        self.video = video
        self.target = target
        self.frames: Frames | None = None
        self.size_px = (0, 0)
        self.orientation = Orientation()
        self.scaler = RgbScaler(maps_colours=True)

    def write(self, frame: Any, places: list[int]) -> None:
        """Write `frame` at the indices `places`. The first frame determines size and orientation of the clip.

        Raises:
            MediaError: SizeChange, UnsupportedColour, UnsupportedOrientation, or TooLarge.
        """
        check_colour(self.video, frame)
        orientation = orientation_of(frame)
        size_px = display_size(frame.width, frame.height, pixel_aspect(self.video), orientation)
        if self.frames is None:
            self.frames = self._allocate(size_px)
            self.size_px, self.orientation = size_px, orientation
        elif orientation != self.orientation or not _same_aspect(size_px, self.size_px):
            was, now = (f"{width} x {height}" for width, height in (self.size_px, size_px))
            text = (
                f"{self.video.path}: pictures change from {was} to {now} within the window; choose a part of one size"
            )
            raise MediaError("SizeChange", text)
        first, *repeats = places
        self.scaler.write(deinterlaced(frame), orientation.coded_view(self.frames[first]))
        for place in repeats:
            self.frames[place] = self.frames[first]

    def _allocate(self, size_px: tuple[int, int]) -> Frames:
        target = self.target
        width, height = working_size(*size_px, short_side_px=target.short_side_px, multiple=target.multiple)
        check_clip_bytes(target.window, width, height, target.limits)
        return target.allocate((target.window.num_frames, height, width, 3))


def _same_aspect(size_px: tuple[int, int], other_px: tuple[int, int]) -> bool:
    """Whether frames of both sizes fit into one array without being stretched, up to the rounding of sizes."""
    ratio = size_px[0] * other_px[1] / (size_px[1] * other_px[0])
    return abs(ratio - 1) <= _ASPECT_TOLERANCE
