"""Clip decoders by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.decode_decord import decode_clip_decord
from models.video.window import AllocateFrames, ClipWindow, DecodedClip


class ClipDecoder(Protocol):
    """Decoder of one window of one file; see `models.video.decode.decode_clip`."""

    def __call__(
        self,
        path: str,
        window: ClipWindow,
        *,
        short_side_px: int,
        multiple: int,
        limits: MediaLimits,
        allocate: AllocateFrames,
    ) -> DecodedClip:
        """Decode the frames of `window`, rotated upright and resized to the working size."""


DECODERS: Mapping[str, ClipDecoder] = {"pyav": decode_clip, "decord": decode_clip_decord}
