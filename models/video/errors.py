"""Errors of media files, with a reason to count by."""

from __future__ import annotations

from typing import Literal

MediaReason = Literal[
    "NotFound",
    "UnreadableSource",
    "NotAVideo",
    "NoVideoStream",
    "UnsupportedCodec",
    "UnsupportedColour",
    "UnsupportedOrientation",
    "SizeChange",
    "DecodeError",
    "CorruptFrames",
    "MissingFrames",
    "TooLarge",
    "Timeout",
    "OutOfMemory",
    "Crash",
]
"""Subset of `stages.outcome.Reason` for media files (models do not import stages)."""


class MediaError(Exception):
    """A media file cannot be used. `reason` is a short name to count by, `message` the details."""

    def __init__(self, reason: MediaReason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason: MediaReason = reason
        self.message = message
