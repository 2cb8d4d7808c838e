"""Stage that cuts the driving video to the frames that show the character, and bridges short gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.pose.absences import Absence, find_absences, interpolate_gaps
from models.pose.extent import CONFIDENT_SCORE, shows_person
from models.video.audio import SAMPLE_RATE_HZ, Samples
from stages.base import Row, Stage
from stages.outcome import Reason, Rejected

OnAbsence = Literal["reject", "cut"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DrivingSpanConfig:
    """Settings for driving videos that do not show the character throughout.

    Args:
        max_gap_seconds: longest time without the character, or without one of its keypoints, that is bridged by
            interpolation.
        absence: what a longer absence does: `reject` the request, or `cut` the driving video to its longest stretch
            without one. Models that keep the scene leave such frames as they are.
        max_implausible_share: maximum share of the frames whose skeleton is implausible, for example across two
            persons; None: all.
    """

    max_gap_seconds: float = 0.5
    absence: OnAbsence = "reject"
    max_implausible_share: float | None = 0.5

    def __post_init__(self) -> None:
        if self.absence not in get_args(OnAbsence):
            raise ValueError(f"unknown absence '{self.absence}', expected one of {', '.join(get_args(OnAbsence))}")
        if not 0 <= self.max_gap_seconds < float("inf"):
            raise ValueError(f"expected a finite max_gap_seconds >= 0, got {self.max_gap_seconds}")


class DrivingSpanStage(Stage[DrivingSpanConfig]):
    """Frames, keypoints, times and sound of the span that drives.

    Short gaps are interpolated; `bridged_frames` counts the frames without a character, `bridged_keypoints` the
    keypoints of other frames. Nothing is extrapolated: short absences at the start and at the end are cut off
    (`cut_start_frames`, `cut_end_frames`). For a model that keeps the scene, frames without the character are part of
    it: nothing is cut.
    """

    name = "driving_span"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("decoded_frames", "decoded_seconds", "decoded_audio", "decoded_part", "decoded_keypoints"),
            *("implausible_share", "fps", "model_spec", "sound_fallback"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_frames", "driving_keypoints", "driving_audio", "driving_part", "driving_fallbacks"),
            *("frame_seconds", "num_frames", "has_audio", "longest_absence_seconds"),
            *("bridged_frames", "bridged_keypoints", "cut_start_frames", "cut_end_frames"),
        }
    )
    transient: ClassVar[frozenset[str]] = frozenset(
        {"driving_frames", "driving_keypoints", "driving_audio", "driving_part", "driving_fallbacks"}
    )

    def process(self, row: Row) -> Row:
        """The columns of the span.

        Raises:
            Rejected: ImplausiblePose, if too many frames have an implausible skeleton; LongAbsence; NoPerson, if no
                frame is left that shows a person.
        """
        config, seconds, part = self.config, np.asarray(row["decoded_seconds"], np.float64), row["decoded_part"]
        self._check_implausible(row["implausible_share"], len(seconds))
        shown = shows_person(row["decoded_keypoints"])
        absences = find_absences(shown, seconds)
        whole = slice(0, len(seconds))
        span = whole if row["model_spec"]["keeps_scene"] else self._span(shown, absences, seconds)
        keypoints = row["decoded_keypoints"][span]
        bridged = interpolate_gaps(keypoints, seconds[span], max_gap_seconds=config.max_gap_seconds)
        gained = (bridged[..., 2] >= CONFIDENT_SCORE) & (keypoints[..., 2] < CONFIDENT_SCORE)
        filled = shows_person(bridged) & ~shown[span]
        counts = {
            "bridged_frames": int(filled.sum()),
            "cut_start_frames": span.start,
            "cut_end_frames": len(seconds) - span.stop,
        }
        audio = cut_audio(row["decoded_audio"], span, seconds, row["fps"])
        return {
            "driving_frames": row["decoded_frames"][span],
            "driving_keypoints": bridged,
            "driving_audio": audio,
            "driving_part": cut_part(part, span),
            "driving_fallbacks": [
                *([row["sound_fallback"]] if row["sound_fallback"] else []),
                *(f"{name}={count}" for name, count in counts.items() if count),
            ],
            "frame_seconds": seconds[span],
            "num_frames": span.stop - span.start,
            "has_audio": audio is not None,
            "longest_absence_seconds": max((absence.duration_seconds for absence in absences), default=0.0),
            "bridged_keypoints": int(gained[~filled].sum()),
            **counts,
        }

    def _check_implausible(self, share: float, num_frames: int) -> None:
        limit = self.config.max_implausible_share
        if limit is not None and share > limit:
            raise Rejected(
                Reason.IMPLAUSIBLE_POSE,
                f"{share:.0%} of the skeletons in {num_frames} driving frames are implausible (across two persons, or "
                f"with too long limbs), {limit:.0%} are allowed; give a driving video of one person, or a pose "
                "backend that tells persons apart",
            )

    def _span(self, shown: NDArray[np.bool_], absences: Sequence[Absence], seconds: NDArray[np.float64]) -> slice:
        """The frames that drive: all between absences at the ends, or the longest stretch without a long absence."""
        if not shown.any():
            raise Rejected(
                Reason.NO_PERSON, f"none of the {len(shown)} driving frames shows a person with a plausible skeleton"
            )
        long = [absence for absence in absences if absence.duration_seconds > self.config.max_gap_seconds]
        if long and self.config.absence == "reject":
            worst = max(long, key=lambda absence: absence.duration_seconds)
            since_seconds = seconds[worst.start] - seconds[0]
            raise Rejected(
                Reason.LONG_ABSENCE,
                f"nobody is in view for {worst.duration_seconds:.3g} s from {since_seconds:.3g} s on; "
                f"{self.config.max_gap_seconds:g} s are bridged. Give start_seconds and duration_seconds of a part "
                "that shows the person, set driving_span.absence to cut, or raise driving_span.max_gap_seconds",
            )
        borders = [
            absence for absence in absences if absence in long or absence.start == 0 or absence.stop == len(shown)
        ]
        starts = [0, *(absence.stop for absence in borders)]
        stops = [*(absence.start for absence in borders), len(shown)]
        start, stop = max(zip(starts, stops, strict=True), key=lambda stretch: stretch[1] - stretch[0])
        return slice(start, stop)


def cut_part(part: Row, span: slice) -> Row:
    """Description of the span of a part of a video, as `ClipReader` reads it."""
    if part.get("times_seconds") is not None:
        times = part["times_seconds"][span]
        return {**part, "times_seconds": times, "start_seconds": times[0], "num_frames": len(times)}
    start_seconds = part["start_seconds"]
    if span.start:
        start_seconds += span.start * part["frame_step"] / part["fps"]
    return {**part, "start_seconds": start_seconds, "num_frames": span.stop - span.start}


def cut_audio(audio: Samples | None, span: slice, frame_seconds: NDArray[Any], fps: float) -> Samples | None:
    """Sound of the span of frames, the last of which is displayed for 1 / `fps` seconds."""
    if audio is None:
        return None
    begin, end = (float(frame_seconds[index] - frame_seconds[0]) for index in (span.start, span.stop - 1))
    return audio[round(begin * SAMPLE_RATE_HZ) : round((end + 1 / fps) * SAMPLE_RATE_HZ)]
