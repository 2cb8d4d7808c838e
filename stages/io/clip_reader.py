"""Reading videos in a bounded child process: facts, frames and sound, from one fetched copy of each file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.video.audio import Samples
from models.video.errors import MediaError
from models.video.sandbox import DecoderProcess, SandboxConfig
from models.video.window import ClipWindow, DecodedClip
from stages.base import Row
from stages.io.fingerprint import ContentCheck
from stages.io.source import SourceFiles
from stages.io.uri_gate import DEFAULT_SCHEMES
from stages.outcome import BadRow, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeConfig:
    """How clips are decoded.

    Args:
        short_side_px: shorter side of the working size; smaller videos keep theirs.
        multiple: both sides are multiples of this.
        decoder: `pyav`, or `decord` (an extra), which does not detect damaged frames.
        allowed_schemes: schemes of URIs that may be opened.
        sandbox: bounds on files and on the child process that reads them.
    """

    short_side_px: int = 256
    multiple: int = 8
    decoder: Literal["pyav", "decord"] = "pyav"
    # Bounds decide whether there is a result, not which: a longer timeout makes nothing stale.
    allowed_schemes: tuple[str, ...] = field(default=DEFAULT_SCHEMES, metadata={"in_key": False})
    sandbox: SandboxConfig = field(default_factory=SandboxConfig, metadata={"in_key": False})

    def __post_init__(self) -> None:
        if self.multiple < 1 or self.short_side_px < self.multiple:
            raise ValueError(f"expected 1 <= multiple <= short_side_px, got {self.multiple} and {self.short_side_px}")
        if self.decoder not in ("pyav", "decord"):
            raise ValueError(f"unknown decoder '{self.decoder}', expected 'pyav' or 'decord'")


class ClipReader:
    """One child process and one fetched copy per file, for one thread at a time."""

    def __init__(self, config: DecodeConfig) -> None:
        self.config = config
        self.sources = SourceFiles(config.allowed_schemes, limits=config.sandbox.limits)
        self.content = ContentCheck()
        self.decoder = DecoderProcess(config.sandbox)

    def inspect(self, uri: str) -> Row:
        """Facts about a source file: size, fingerprint, codec, dimensions, timing, shots.

        Raises:
            BadRow: the file cannot be opened or is no video.
        """
        source = self.sources.open(uri)
        try:
            inspection = self.decoder.inspect(source.path)
        except MediaError as error:
            raise _bad_row(error, source.path, uri) from error
        facts = dataclasses.asdict(inspection.info)
        del facts["container"]
        shots = inspection.shots
        return {
            **facts,
            "size_bytes": source.size_bytes,
            "fingerprint": f"etag:{source.etag}" if source.etag else f"sha256:{inspection.sha256}",
            "shot_starts_seconds": [shot.start_seconds for shot in shots],
            "shot_ends_seconds": [shot.end_seconds for shot in shots],
            "shot_widths_px": [shot.width_px for shot in shots],
            "shot_heights_px": [shot.height_px for shot in shots],
        }

    def frame_times(self, uri: str) -> NDArray[np.float64]:
        """(N) timestamps in seconds of all frames of a video.

        Raises:
            BadRow: the file cannot be opened or is no video.
        """
        source = self.sources.open(uri)
        try:
            return self.decoder.frame_times(source.path)
        except MediaError as error:
            raise _bad_row(error, source.path, uri) from error

    def frames(self, clip: Row, *, short_side_px: int | None = None, multiple: int | None = None) -> DecodedClip:
        """Frames of a clip's window and their timestamps.

        Args:
            clip: `uri, size_bytes, fingerprint, start_seconds, num_frames, frame_step, fps`, and for uneven times
                `times_seconds` (see `ClipWindow`).
            short_side_px, multiple: in place of the configuration's.

        Raises:
            BadRow: InvalidRow, SourceChanged, or a reason of the decoder.
        """
        window = window_of(clip)
        uri, fingerprint = clip["uri"], str(clip["fingerprint"])
        source = self.sources.open(uri, size_bytes=clip["size_bytes"])
        self.content.require(source, fingerprint, uri)
        try:
            decoded = self.decoder.decode(
                source.path,
                window,
                short_side_px=short_side_px or self.config.short_side_px,
                multiple=multiple or self.config.multiple,
                decoder=self.config.decoder,
            )
        except MediaError as error:
            raise _bad_row(error, source.path, uri) from error
        # Again, for a file that was replaced while it was read.
        self.content.require(source, fingerprint, uri)
        return decoded

    def audio(self, clip: Row) -> Samples | None:
        """Sound of a clip's window; None where the file has none.

        Raises:
            BadRow: a reason of the decoder.
        """
        source = self.sources.open(clip["uri"])
        seconds = clip["num_frames"] * clip["frame_step"] / clip["fps"]
        if (times := clip.get("times_seconds")) is not None:
            seconds = times[-1] - times[0] + clip["frame_step"] / clip["fps"]
        try:
            return self.decoder.audio(source.path, start_seconds=clip["start_seconds"], duration_seconds=seconds)
        except MediaError as error:
            raise _bad_row(error, source.path, clip["uri"]) from error

    def close(self) -> None:
        """End the child process and delete fetched files."""
        self.decoder.close()
        self.sources.close()


def window_of(clip: Row) -> ClipWindow:
    """Sample times of a clip. Raises BadRow, InvalidRow."""
    try:
        return ClipWindow(
            start_seconds=clip["start_seconds"],
            num_frames=clip["num_frames"],
            frame_step=clip["frame_step"],
            fps=clip["fps"],
            times_seconds=None if clip.get("times_seconds") is None else tuple(clip["times_seconds"]),
        )
    except (TypeError, ValueError) as error:
        raise BadRow(Reason.INVALID_ROW, str(error)) from error


FRAME_COUNTS = ("num_source_frames", "num_distinct_frames")
"""Columns of `frame_counts`."""


def frame_counts(clip: DecodedClip) -> Row:
    """Frames of the file from the first sampled one to the last, and how many different ones were sampled."""
    counts = (clip.num_source_frames, len(np.unique(clip.frame_seconds)))
    return dict(zip(FRAME_COUNTS, counts, strict=True))


def _bad_row(error: MediaError, path: str, uri: str) -> BadRow:
    return BadRow(Reason(error.reason), error.message.replace(path, uri))
