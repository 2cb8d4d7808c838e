"""Inspection of a source file at ingest: probe, shots and digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from models.video.container import MediaLimits
from models.video.probe import VideoInfo, probe
from models.video.shots import Shot, find_shots


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """Properties, shots and digest of a video file."""

    info: VideoInfo
    shots: tuple[Shot, ...]
    sha256: str
    """Hexadecimal digest of the file's content."""


def inspect(path: str, limits: MediaLimits) -> Inspection:
    """Probe the file, detect its shots and hash its content.

    Raises:
        MediaError: see `probe` and `find_shots`.
    """
    info = probe(path, limits)
    shots = find_shots(path, limits, end_seconds=info.start_seconds + info.duration_seconds)
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Inspection(info=info, shots=tuple(shots), sha256=digest)
