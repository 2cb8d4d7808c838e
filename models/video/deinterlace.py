"""Deinterlacing of single frames: samples are read at chosen times, so that neighbouring frames are not at hand."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import av
from av.filter import Graph


def deinterlaced(frame: Any) -> Any:
    """The first field of an interlaced frame, its missing lines interpolated along edges (ffmpeg's estdif).

    A progressive frame is returned unchanged.
    """
    if not frame.interlaced_frame:
        return frame
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 90_000)
    )
    graph.link_nodes(source, graph.add("estdif", "mode=frame:deint=interlaced"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    graph.vpush(None)  # the filter keeps a frame until the next or the end
    with contextlib.suppress(av.error.EOFError, av.error.BlockingIOError):
        result = graph.vpull()
        for name in ("colorspace", "color_range", "color_trc", "color_primaries"):
            setattr(result, name, getattr(frame, name))
        return result
    raise RuntimeError("ffmpeg's filter estdif returned no frame")
