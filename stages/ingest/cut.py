"""Cutting a video's shots into windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from stages.base import Row, Stage
from stages.outcome import Reason, Rejected


@dataclass(frozen=True, kw_only=True, slots=True)
class CutConfig:
    """How windows are cut.

    Args:
        num_frames: frames of a full window.
        min_frames: a shorter rest of a shot is kept when it has at least this many.
        stride_frames: from the start of one window to the start of the next; None: `num_frames`, no overlap.
        target_fps: source frames are stepped over so that a window has about this rate, never more than the source's.
        shot_margin_seconds: kept clear on both sides of a cut, where dissolves are.
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
    """Windows that each lie inside one shot. Frame i of a window is on display at `start_seconds + i · frame_step /
    fps`.
    """

    name = "cut"
    reads: ClassVar[frozenset[str]] = frozenset(
        {"fps", "num_frames", "start_seconds", "duration_seconds", "shot_starts_seconds"}
    )
    writes: ClassVar[frozenset[str]] = frozenset({"windows"})

    def process(self, row: Row) -> Row:
        """`windows` of the row's shots.

        Raises:
            Rejected: no shot is long enough for one.
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
            # The last frame must still be on display inside the shot; a thousandth of a frame forgives rounding.
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
