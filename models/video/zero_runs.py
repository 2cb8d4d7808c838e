"""Detection of zero runs: zeros in place of data, left by an interrupted download or a lost disk page.

Decoders often decode a slice of zeros without an error, but an intact stream does not contain such runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MAX_TRAILING_ZEROS = 8
"""A NAL unit ends with a non-zero byte; some multiplexers keep a few zeros of the following start code."""

_MAX_ARITHMETIC_ZEROS = 1024
"""Arithmetic coders emit long zero runs only for near-certain symbols, at a small fraction of a bit per symbol."""


def zero_run_detector(codec: Any) -> Callable[[bytes], bool]:
    """Function that tests whether a packet of a stream contains a zero run; always false for other codecs.

    Supports H.264 and HEVC with length-prefixed units, VP8, VP9 and AV1; other codecs may legitimately write zeros.

    Args:
        codec: PyAV's codec context of the stream.
    """
    extradata = codec.extradata or b""
    has_lengths = extradata[:1] == b"\1"
    if codec.name == "h264" and has_lengths and len(extradata) > 4:
        length_bytes = (extradata[4] & 3) + 1  # ISO 14496-15, 5.3.3.1.2
        return lambda packet: _has_forbidden_zeros(packet, length_bytes)
    if codec.name == "hevc" and has_lengths and len(extradata) > 21:
        length_bytes = (extradata[21] & 3) + 1  # ISO 14496-15, 8.3.3.1.2
        return lambda packet: _has_forbidden_zeros(packet, length_bytes)
    if codec.name in ("vp8", "vp9", "libvpx-vp8", "libvpx-vp9", "libdav1d", "av1"):
        zeros = bytes(_MAX_ARITHMETIC_ZEROS)
        return lambda packet: zeros in packet
    return lambda _: False


def _has_forbidden_zeros(packet: bytes, length_bytes: int) -> bool:
    """Whether a NAL unit has three consecutive zero bytes, ruled out by emulation prevention (H.264, H.265: 7.4.1)."""
    if b"\0\0\0" not in packet:  # fast path for most packets
        return False
    position = 0
    while position + length_bytes <= len(packet):
        size = int.from_bytes(packet[position : position + length_bytes], "big")
        unit = packet[position + length_bytes : position + length_bytes + size]
        content = unit.rstrip(b"\0")
        if len(unit) - len(content) > _MAX_TRAILING_ZEROS or b"\0\0\0" in content:
            return True
        position += length_bytes + size
    return False
