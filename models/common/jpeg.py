"""Detection of lost data in JPEG files, which libjpeg, and PIL with it, fills with grey without an error."""

from __future__ import annotations

import contextlib

import av
import av.logging
from av.codec.context import CodecContext

_DAMAGE = ("overread", "error y=", "error count", "error dc", "error in decoding")
"""Messages of ffmpeg's decoder about the coded picture itself. Others, such as unknown segments, affect no pixels."""


def jpeg_damage(data: bytes) -> str | None:
    """Describe the damage of a JPEG's coded picture; None if none is found.

    A loss after which the codes still form a whole picture cannot be detected.
    """
    level, skip_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as log:
            decoder = CodecContext.create("mjpeg", "r")
            decoder.thread_type = "NONE"
            decoder.options = {"err_detect": "bitstream+buffer+explode"}
            # The log says whether the picture is damaged or of an unsupported kind.
            with contextlib.suppress(av.error.FFmpegError):
                decoder.decode(av.Packet(data))
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip_repeated)
    return next((text.strip() for _, _, text in log if text.startswith(_DAMAGE)), None)
