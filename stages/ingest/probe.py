"""Facts about a source file, and its shot boundaries."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.video.sandbox import SandboxConfig
from stages.base import Row, Stage
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.io.source import DEFAULT_SCHEMES


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeConfig:
    """`allowed_schemes`: schemes of URIs that may be opened; `sandbox`: bounds on files and on the child process
    that reads them.
    """

    # Not in the key: limits do not affect results, so a longer timeout makes no row stale.
    allowed_schemes: tuple[str, ...] = field(default=DEFAULT_SCHEMES, metadata={"in_key": False})
    sandbox: SandboxConfig = field(default_factory=SandboxConfig, metadata={"in_key": False})


class ProbeStage(Stage[ProbeConfig]):
    """Reads metadata, fingerprint and shot boundaries of a source file."""

    name = "probe"
    version = 2  # colour, mirroring, interlacing, ends and sizes of shots; median rate of uneven times
    reads = frozenset({"uri"})
    writes = frozenset(
        {
            *("size_bytes", "fingerprint", "codec", "pixel_format", "width_px", "height_px", "rotation_degrees", "fps"),
            *("variable_frame_rate", "num_frames", "start_seconds", "duration_seconds", "has_audio"),
            *("mirrored", "interlaced", "colour", "frame_conversion"),
            *("shot_starts_seconds", "shot_ends_seconds", "shot_widths_px", "shot_heights_px"),
        }
    )

    def open(self) -> None:
        """Start the reader."""
        config = self.config
        self.reader = ClipReader(DecodeConfig(allowed_schemes=config.allowed_schemes, sandbox=config.sandbox))

    def process(self, row: Row) -> Row:
        """The facts about `uri`."""
        return self.reader.inspect(row["uri"])

    def close(self) -> None:
        """End the reader."""
        self.reader.close()
