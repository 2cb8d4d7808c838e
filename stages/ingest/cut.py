"""Stage `cut`: windows of the shots of a video."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from stages.base import Row, Stage
from stages.outcome import Reason, Rejected


@dataclass(frozen=True, kw_only=True, slots=True)
class CutConfig:
    """Settings of windows.

    Args:
        num_frames: number of frames of a full window.
        min_frames: minimum number of frames of the last window of a shot.
        stride_frames: distance between the starts of consecutive windows; None: `num_frames`, no overlap.
        target_fps: approximate frame rate of windows, reached by skipping source frames; at most that of the source.
        shot_margin_seconds: excluded time on both sides of a cut, for dissolves.
    """

    num_frames: int = 48
    min_frames: int = 16
    stride_frames: int | None = None
    target_fps: float = 12.0
    shot_margin_seconds: float = 0.0

    def __post_init__(self) -> None:
        stride = self.num_frames if self.stride_frames is None else self.stride_frames
        if not 1 <= self.min_frames <= self.num_frames or stride < 1:
            raise ValueError(
                "expected 1 <= min_frames <= num_frames and stride_frames >= 1, "
                f"got {self.min_frames}, {self.num_frames}, {stride}"
            )
        if not self.target_fps > 0 or not self.shot_margin_seconds >= 0:
            raise ValueError(
                "expected target_fps > 0 and shot_margin_seconds >= 0, "
                f"got {self.target_fps}, {self.shot_margin_seconds}"
            )


class CutStage(Stage[CutConfig]):
    """Cuts each shot into windows.

    Frame i of a window is displayed at `start_seconds + i · frame_step / fps`.
    """

    name = "cut"
    reads: ClassVar[frozenset[str]] = frozenset(
        {"fps", "num_frames", "start_seconds", "duration_seconds", "shot_starts_seconds"}
    )
    writes: ClassVar[frozenset[str]] = frozenset({"windows"})

    def process(self, row: Row) -> Row:
        """Computes `windows`.

        Raises:
            Rejected: TooShort, if no shot has `min_frames` frames.
        """
        config = self.config
        frame_step = max(1, math.floor(row["fps"] / config.target_fps + 0.5))
        spacing_seconds = frame_step / row["fps"]
        stride = config.num_frames if config.stride_frames is None else config.stride_frames
        starts = list(row["shot_starts_seconds"]) or [row["start_seconds"]]
        ends = [*starts[1:], row["start_seconds"] + row["duration_seconds"]]
        windows = []
        for number, (shot_start, shot_end) in enumerate(zip(starts, ends, strict=True)):
            start = shot_start + (config.shot_margin_seconds if number > 0 else 0.0)
            end = shot_end - (config.shot_margin_seconds if number < len(starts) - 1 else 0.0)
            # The last frame must be displayed within the shot; 1e-3 frames of tolerance for rounding.
            available = math.floor((end - start) / spacing_seconds + 1e-3)
            for offset in range(0, available, stride):
                length = min(config.num_frames, available - offset)
                if length < config.min_frames:
                    break
                windows.append(
                    {
                        "start_seconds": start + offset * spacing_seconds,
                        "num_frames": length,
                        "frame_step": frame_step,
                    }
                )
        if not windows:
            raise Rejected(
                Reason.TOO_SHORT,
                f"no shot has {config.min_frames} frames at {row['fps'] / frame_step:.3g} per second: "
                f"{row['duration_seconds']:.3g} s in {len(starts)} shots",
            )
        return {"windows": windows}
