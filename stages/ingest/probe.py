"""Stage `probe`: metadata and shot boundaries of a source file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from models.video.errors import MediaError
from models.video.sandbox import DecoderProcess, SandboxConfig
from stages.base import Row, Stage
from stages.io.source import DEFAULT_SCHEMES, SourceFiles
from stages.outcome import BadRow, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeConfig:
    """`allowed_schemes`: allowed schemes of URIs; `sandbox`: limits on files and on the decoder process."""

    # Not in the key: limits do not affect results, so a longer timeout makes no row stale.
    allowed_schemes: tuple[str, ...] = field(default=DEFAULT_SCHEMES, metadata={"in_key": False})
    sandbox: SandboxConfig = field(default_factory=SandboxConfig, metadata={"in_key": False})


class ProbeStage(Stage[ProbeConfig]):
    """Reads metadata, fingerprint and shot boundaries of a source file."""

    name = "probe"
    reads = frozenset({"uri"})
    writes = frozenset(
        {
            *("size_bytes", "fingerprint", "codec", "pixel_format", "width_px", "height_px", "rotation_degrees", "fps"),
            *("variable_frame_rate", "num_frames", "start_seconds", "duration_seconds", "has_audio"),
            "shot_starts_seconds",
        }
    )

    def open(self) -> None:
        """Create the source cache and the decoder process."""
        self.sources = SourceFiles(self.config.allowed_schemes, limits=self.config.sandbox.limits)
        self.decoder = DecoderProcess(self.config.sandbox)

    def process(self, row: Row) -> Row:
        """Computes the metadata columns of `uri`.

        Raises:
            BadRow: the source cannot be opened or decoded.
        """
        source = self.sources.open(row["uri"])
        try:
            inspection = self.decoder.inspect(source.path)
        except MediaError as error:
            raise BadRow(Reason(error.reason), error.message.replace(source.path, row["uri"])) from error
        metadata = dataclasses.asdict(inspection.info)
        del metadata["container"]
        return {
            **metadata,
            "size_bytes": source.size_bytes,
            "fingerprint": f"etag:{source.etag}" if source.etag else f"sha256:{inspection.sha256}",
            "shot_starts_seconds": list(inspection.shot_starts_seconds),
        }

    def close(self) -> None:
        """Stop the decoder process and delete downloaded files."""
        self.decoder.close()
        self.sources.close()
