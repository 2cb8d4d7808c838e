"""Holes: zeros where data was never written, as an interrupted download or a lost disk page leaves them.

Decoders take them for data: a slice of zeros often decodes to its end without an error. But no sound stream holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MAX_TRAILING_ZEROS = 8
"""A unit ends with a byte that is not zero; some multiplexers leave a few zeros of the start code that followed."""

_MAX_ARITHMETIC_ZEROS = 1024
"""Arithmetic coders write zeros only for what they think almost certain, at a tiny fraction of a bit per decision."""


def hole_finder(codec: Any) -> Callable[[bytes], bool]:
    """What tells whether the packet of a stream has a hole in it; never true for codecs that may well write zeros.

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
    """Whether a unit holds three zero bytes in a row, which emulation prevention rules out (H.264 and H.265, 7.4.1)."""
    if b"\0\0\0" not in packet:  # true of most packets once lengths take fewer than three zeros
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
