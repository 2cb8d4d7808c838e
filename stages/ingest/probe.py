"""What is in a source file, and where its shots begin."""

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
    """`allowed_schemes`: schemes of URIs that may be opened; `sandbox`: bounds on files and on what reads them."""

    # What bounds the work decides whether there is a result, not which: a longer timeout makes nothing stale.
    allowed_schemes: tuple[str, ...] = field(default=DEFAULT_SCHEMES, metadata={"in_key": False})
    sandbox: SandboxConfig = field(default_factory=SandboxConfig, metadata={"in_key": False})


class ProbeStage(Stage[ProbeConfig]):
    """A source file to the facts about it."""

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
        """Prepare to read files."""
        self.sources = SourceFiles(self.config.allowed_schemes, limits=self.config.sandbox.limits)
        self.decoder = DecoderProcess(self.config.sandbox)

    def process(self, row: Row) -> Row:
        """The facts about `uri`."""
        source = self.sources.open(row["uri"])
        try:
            found = self.decoder.inspect(source.path)
        except MediaError as error:
            raise BadRow(Reason(error.reason), error.message.replace(source.path, row["uri"])) from error
        facts = dataclasses.asdict(found.info)
        del facts["container"]
        return {
            **facts,
            "size_bytes": source.size_bytes,
            "fingerprint": f"etag:{source.etag}" if source.etag else f"sha256:{found.sha256}",
            "shot_starts_seconds": list(found.shot_starts_seconds),
        }

    def close(self) -> None:
        """End the decoder process and delete what was fetched."""
        self.decoder.close()
        self.sources.close()
