"""Conversion of decoded frames to RGB and to the target size in one pass of swscale."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

# Area averaging in the same pass is twice as fast as converting to RGB first and resizing afterwards.
_INTERPOLATION = Interpolation.AREA | Interpolation.ACCURATE_RND

# Planar RGB. For packed RGB swscale halves the horizontal chroma resolution, and its full-chroma mode is slower than
# planar output followed by interleaving.
_FORMAT = "gbrp"
_PLANE_OF_CHANNEL = (2, 0, 1)


class RgbScaler:
    """Converter for frames of one stream; keeps swscale's tables between calls."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def write(self, frame: Any, out_HWC: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """Resize `frame` into `out_HWC`, (height, width, 3) uint8 with any strides."""
        height, width = out_HWC.shape[:2]
        resized = self._reformatter.reformat(
            frame,
            width,
            height,
            _FORMAT,
            interpolation=_INTERPOLATION,
            src_color_range=frame.color_range,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        for channel, index in enumerate(_PLANE_OF_CHANNEL):
            plane: Any = resized.planes[index]
            out_HWC[..., channel] = np.frombuffer(plane, dtype=np.uint8).reshape(height, plane.line_size)[:, :width]
