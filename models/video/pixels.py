"""Conversion of decoded frames to RGB and to the target size in one pass of swscale."""

from __future__ import annotations

import functools
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc, Interpolation, VideoReformatter

from models.video.colour import assumed_matrix, mapping_of

# Area averaging in the same pass is twice as fast as converting to RGB first and resizing afterwards.
_INTERPOLATION = Interpolation.AREA | Interpolation.ACCURATE_RND

# Planar RGB. For packed RGB swscale halves the horizontal chroma resolution, and its full-chroma mode is slower than
# planar output followed by interleaving.
_FORMAT = "gbrp"
_DEEP_FORMAT = "gbrp16le"
_CHANNEL_OF_PLANE = (1, 2, 0)

_TILE_PX = 256
"""Side of the squares that colours are mapped in."""


class RgbScaler:
    """Converter for frames of one stream; keeps swscale's tables between calls.

    Args:
        maps_colours: convert HDR and wide gamuts to sRGB and BT.709. Diffuse white of HDR, 203 cd/m² (ITU-R BT.2408),
            becomes white, and colours up to it keep their look; brighter ones are clipped.
    """

    def __init__(self, *, maps_colours: bool) -> None:
        self._reformatter = VideoReformatter()
        self._maps_colours = maps_colours

    def write(self, frame: Any, out_HWC: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """Resize `frame` into `out_HWC`, (height, width, 3) uint8 with any strides."""
        height, width = out_HWC.shape[:2]
        mapping = mapping_of(frame) if self._maps_colours else None
        resized = self._reformatter.reformat(
            frame,
            width,
            height,
            _DEEP_FORMAT if mapping else _FORMAT,
            src_colorspace=assumed_matrix(frame),
            interpolation=_INTERPOLATION,
            src_color_range=frame.color_range,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        if mapping:
            _map_colours(_planes(resized, np.uint16), _mapper(mapping, frame.color_primaries), out_HWC)
            return
        for channel, plane in zip(_CHANNEL_OF_PLANE, _planes(resized, np.uint8), strict=True):
            out_HWC[..., channel] = plane


class _ColourMapper:
    """Mapping of RGB of 16 bits to 8 bits of BT.709's primaries.

    swscale computes the table of a mapping in seconds and keeps it while the size stays. Colours are therefore mapped
    in squares of one size, so that each process computes a table once.
    """

    def __init__(self, mapping: str, primaries: int) -> None:
        tone_mapped = mapping != "gamut"
        self._reformatter = VideoReformatter()
        self._tile = av.VideoFrame(_TILE_PX, _TILE_PX, _DEEP_FORMAT)
        self._tile.color_range = ColorRange.JPEG
        self._tile.color_primaries = primaries
        # One curve on both sides of a pure change of primaries: tones stay.
        self._tile.color_trc = ColorTrc.BT709
        self._transfer = ColorTrc.BT709
        if tone_mapped:
            self._tile.color_trc = ColorTrc.SMPTE2084 if mapping == "pq" else ColorTrc.ARIB_STD_B67
            self._transfer = ColorTrc.IEC61966_2_1
            if primaries == ColorPrimaries.UNSPECIFIED:
                self._tile.color_primaries = ColorPrimaries.BT2020

    def map_tile(self, deep: list[Any]) -> list[Any]:
        """Map three planes of `_TILE_PX`² values each."""
        for plane, values in zip(self._tile.planes, deep, strict=True):
            plane.update(values.tobytes())
        mapped = self._reformatter.reformat(
            self._tile,
            format=_FORMAT,
            interpolation=_INTERPOLATION,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG,
            dst_color_trc=self._transfer,
            dst_color_primaries=ColorPrimaries.BT709,
            threads=1,
        )
        return _planes(mapped, np.uint8)


_mapper = functools.cache(_ColourMapper)


def _map_colours(deep: list[Any], mapper: _ColourMapper, out_HWC: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    height, width = out_HWC.shape[:2]
    size = _TILE_PX * _TILE_PX
    padding = -height * width % size
    flat = [np.pad(plane.reshape(-1), (0, padding)) for plane in deep]
    tiles = [mapper.map_tile([plane[start : start + size] for plane in flat]) for start in range(0, len(flat[0]), size)]
    for channel, planes in zip(_CHANNEL_OF_PLANE, zip(*tiles, strict=True), strict=True):
        out_HWC[..., channel] = np.concatenate([plane.reshape(-1) for plane in planes])[: height * width].reshape(
            height, width
        )


def _planes(frame: Any, dtype: type[Any]) -> list[Any]:
    """(height, width) views of the planes of a planar RGB frame, in ffmpeg's order."""
    return [np.frombuffer(plane, dtype).reshape(frame.height, -1)[:, : frame.width] for plane in frame.planes]
