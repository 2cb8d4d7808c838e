"""The decoders to choose from, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.decode_decord import decode_clip_decord
from models.video.window import AllocateFrames, ClipWindow, DecodedClip


class ClipDecoder(Protocol):
    """Decodes one window of one file; see `models.video.decode.decode_clip`."""

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
        """The frames of `window`, upright, at the working size."""


DECODERS: Mapping[str, ClipDecoder] = {"pyav": decode_clip, "decord": decode_clip_decord}
