"""What can go wrong with a media file, as one exception with a countable reason."""

from __future__ import annotations

from typing import Literal

MediaReason = Literal[
    "NotFound",
    "UnreadableSource",
    "NotAVideo",
    "NoVideoStream",
    "UnsupportedCodec",
    "DecodeError",
    "CorruptFrames",
    "MissingFrames",
    "TooLarge",
    "Timeout",
    "OutOfMemory",
    "Crash",
]
"""The part of `stages.outcome.Reason` that a media file can end with (models do not import stages)."""


class MediaError(Exception):
    """This file cannot be used; `reason` is the short name to count by, `message` says what was found and where."""

    def __init__(self, reason: MediaReason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason: MediaReason = reason
        self.message = message
