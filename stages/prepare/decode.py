"""Frames of a clip."""

from __future__ import annotations

from stages.base import Row, Stage
from stages.io.clip_reader import FRAME_COUNTS, ClipReader, DecodeConfig, frame_counts


class DecodeStage(Stage[DecodeConfig]):
    """A window of a source file to its frames, (T, H, W, 3) uint8 RGB at the working size."""

    name = "decode"
    reads = frozenset({"uri", "size_bytes", "fingerprint", "start_seconds", "num_frames", "frame_step", "fps"})
    writes = frozenset({"frames", "frame_seconds", "work_width_px", "work_height_px", *FRAME_COUNTS})
    transient = frozenset({"frames"})

    def open(self) -> None:
        """Start the reader."""
        self.reader = ClipReader(self.config)

    def process(self, row: Row) -> Row:
        """The frames of the row's window."""
        clip = self.reader.frames(row)
        return {
            "frames": clip.frames,
            "frame_seconds": clip.frame_seconds,
            "work_width_px": clip.frames.shape[2],
            "work_height_px": clip.frames.shape[1],
            **frame_counts(clip),
        }

    def close(self) -> None:
        """End the reader."""
        self.reader.close()
