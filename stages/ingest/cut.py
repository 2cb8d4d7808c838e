"""Stage `cut`: windows of the shots of a video."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from models.video.window import frame_step
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
    version = 2  # the last frame of shots with rounded timestamps; one step for a rate and its NTSC version
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("fps", "duration_seconds"),
            *("shot_starts_seconds", "shot_ends_seconds", "shot_widths_px", "shot_heights_px"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset({"windows"})

    def process(self, row: Row) -> Row:
        """Computes `windows`.

        Raises:
            Rejected: TooShort, if no shot has `min_frames` frames.
        """
        config = self.config
        step = frame_step(row["fps"], config.target_fps)
        spacing_seconds = step / row["fps"]
        # The last frame must be displayed within the shot. A quarter of a source frame is left for rounded timestamps,
        # such as the milliseconds of Matroska, as in `ClipWindow.tolerance_seconds`.
        tolerance = 0.25 / step
        stride = config.num_frames if config.stride_frames is None else config.stride_frames
        shots = list(
            zip(
                row["shot_starts_seconds"],
                row["shot_ends_seconds"],
                row["shot_widths_px"],
                row["shot_heights_px"],
                strict=True,
            )
        )
        windows = []
        for number, (shot_start, shot_end, width_px, height_px) in enumerate(shots):
            start = shot_start + (config.shot_margin_seconds if number > 0 else 0.0)
            end = shot_end - (config.shot_margin_seconds if number < len(shots) - 1 else 0.0)
            available = math.floor((end - start) / spacing_seconds + tolerance)
            for offset in range(0, available, stride):
                length = min(config.num_frames, available - offset)
                if length < config.min_frames:
                    break
                windows.append(
                    {
                        "start_seconds": start + offset * spacing_seconds,
                        "num_frames": length,
                        "frame_step": step,
                        "width_px": width_px,
                        "height_px": height_px,
                    }
                )
        if not windows:
            raise Rejected(
                Reason.TOO_SHORT,
                f"no shot has {config.min_frames} frames at {row['fps'] / step:.3g} per second: "
                f"{row['duration_seconds']:.3g} s in {len(shots)} shots",
            )
        return {"windows": windows}
