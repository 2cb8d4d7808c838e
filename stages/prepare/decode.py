"""The frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.video.errors import MediaError
from models.video.sandbox import DecoderProcess, SandboxConfig
from models.video.window import ClipWindow
from stages.base import Row, Stage
from stages.io.source import DEFAULT_SCHEMES, SourceFiles
from stages.outcome import BadRow, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeConfig:
    """How clips are decoded.

    Args:
        short_side_px: shorter side of the working size; smaller videos keep theirs.
        multiple: both sides are multiples of this.
        decoder: `pyav`, or `decord` (an extra), which cannot tell damaged frames.
        allowed_schemes: schemes of URIs that may be opened.
        sandbox: bounds on files and on what reads them.
    """

    short_side_px: int = 256
    multiple: int = 8
    decoder: Literal["pyav", "decord"] = "pyav"
    # As in `ProbeConfig`: a longer timeout makes nothing stale.
    allowed_schemes: tuple[str, ...] = field(default=DEFAULT_SCHEMES, metadata={"in_key": False})
    sandbox: SandboxConfig = field(default_factory=SandboxConfig, metadata={"in_key": False})

    def __post_init__(self) -> None:
        if self.multiple < 1 or self.short_side_px < self.multiple:
            raise ValueError(f"expected 1 <= multiple <= short_side_px, got {self.multiple} and {self.short_side_px}")
        if self.decoder not in ("pyav", "decord"):
            raise ValueError(f"unknown decoder '{self.decoder}', expected 'pyav' or 'decord'")


class DecodeStage(Stage[DecodeConfig]):
    """A window of a source file to its frames, (T, H, W, 3) uint8 RGB at the working size."""

    name = "decode"
    reads = frozenset({"uri", "size_bytes", "fingerprint", "start_seconds", "num_frames", "frame_step", "fps"})
    writes = frozenset({"frames", "frame_seconds", "work_width_px", "work_height_px"})
    transient = frozenset({"frames"})

    def open(self) -> None:
        """Prepare to read files."""
        self.sources = SourceFiles(self.config.allowed_schemes, limits=self.config.sandbox.limits)
        self.decoder = DecoderProcess(self.config.sandbox)

    def process(self, row: Row) -> Row:
        """The frames of the row's window."""
        try:
            window = ClipWindow(
                start_seconds=row["start_seconds"],
                num_frames=row["num_frames"],
                frame_step=row["frame_step"],
                fps=row["fps"],
            )
        except (TypeError, ValueError) as error:
            raise BadRow(Reason.INVALID_ROW, str(error)) from error
        source = self.sources.open(row["uri"], size_bytes=row["size_bytes"])
        if source.etag and row["fingerprint"].startswith("etag:") and row["fingerprint"] != f"etag:{source.etag}":
            text = f"{row['uri']} is now {source.etag}, it was {row['fingerprint']}; run ingest again"
            raise BadRow(Reason.SOURCE_CHANGED, text)
        try:
            clip = self.decoder.decode(
                source.path,
                window,
                short_side_px=self.config.short_side_px,
                multiple=self.config.multiple,
                decoder=self.config.decoder,
            )
        except MediaError as error:
            raise BadRow(Reason(error.reason), error.message.replace(source.path, row["uri"])) from error
        return {
            "frames": clip.frames,
            "frame_seconds": clip.frame_seconds,
            "work_width_px": clip.frames.shape[2],
            "work_height_px": clip.frames.shape[1],
        }

    def close(self) -> None:
        """End the decoder process and delete what was fetched."""
        self.decoder.close()
        self.sources.close()
