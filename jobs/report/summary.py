"""What a report says about the rows of a dataset: counts, reasons, times, distributions, examples of problems."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.outcome import Status

MAX_EXAMPLES = 4
MAX_MESSAGE_CHARS = 4000
NUM_BINS = 24

QUALITY_LABELS: Mapping[str, str] = {
    "pose_confidence": "Pose confidence",
    "person_share": "Frames with a person",
    "keypoints_inside_mask": "Keypoints inside the mask",
    "mask_area_jump": "Jump of the mask's area",
    "motion_magnitude": "Motion (sizes per second)",
    "sharpness": "Sharpness (Laplacian variance)",
    "identity_switches": "Identity switches",
    "shot_cuts": "Shot cuts",
    "longest_absence_seconds": "Longest time without a person (s)",
}
_COUNTS = frozenset({"identity_switches", "shot_cuts"})
_SHARES = frozenset({"pose_confidence", "person_share", "keypoints_inside_mask", "mask_area_jump"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One row that was rejected or failed."""

    id: str
    uri: str
    stage: str
    message: str
    attempts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonCount:
    """How many rows ended in one way, and the first few of them."""

    status: str
    reason: str
    count: int
    examples: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTime:
    """Work of one stage over all rows that ran it."""

    stage: str
    seconds: float
    num_rows: int

    @property
    def rows_per_second(self) -> float:
        """Rows per second of one worker doing nothing else."""
        return self.num_rows / self.seconds if self.seconds > 0 else float("inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Distribution of one quality column. Values above `high` are counted in the last bin."""

    column: str
    label: str
    low: float
    high: float
    ok: tuple[int, ...]
    not_ok: tuple[int, ...]
    median: float
    threshold: float | None
    clipped: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The rows of one dataset in small."""

    counts: Mapping[str, int]
    """Rows by status; every status is present."""
    reasons: tuple[ReasonCount, ...]
    """Failures first, and of either kind the most frequent first."""
    stages: tuple[StageTime, ...]
    histograms: tuple[Histogram, ...]

    @property
    def total(self) -> int:
        """All rows: ok, rejected and failed."""
        return sum(self.counts.values())


def summarise(
    rows: Iterable[Mapping[str, Any]], *, id_column: str, thresholds: Mapping[str, float] | None = None
) -> Summary:
    """Reads each row once, and of it only outcome, `uri`, `seconds_by_stage` and quality columns, where it has them.

    Args:
        rows: dictionaries as pyarrow's `to_pylist` gives them (maps may be lists of pairs).
        id_column: `clip_id` or `video_id`.
        thresholds: by quality column, the threshold to draw into its distribution.

    Raises:
        ValueError: a row has no known status.
    """
    counts = dict.fromkeys((status.value for status in Status), 0)
    reasons: Counter[tuple[str, str]] = Counter()
    seconds: dict[str, float] = defaultdict(float)
    ran: Counter[str] = Counter()
    examples: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    values: dict[str, tuple[array[float], array[int]]] = {}
    for row in rows:
        status, reason = str(row.get("status")), str(row.get("reason") or "")
        if status not in counts:
            raise ValueError(
                f"row {row.get(id_column)!r:.80} has status {status!r}, expected one of {', '.join(counts)}"
            )
        counts[status] += 1
        for stage, stage_seconds in dict(row.get("seconds_by_stage") or {}).items():
            seconds[stage] += stage_seconds
            ran[stage] += 1
        for column in QUALITY_LABELS:
            if row.get(column) is not None:
                kept, good = values.setdefault(column, (array("d"), array("b")))
                kept.append(row[column])
                good.append(status == Status.OK)
        if status != Status.OK:
            reasons[status, reason] += 1
            if reasons[status, reason] <= MAX_EXAMPLES:
                examples[status, reason].append(_problem(row, id_column))
    return Summary(
        counts=counts,
        reasons=tuple(
            ReasonCount(status=status, reason=reason, count=count, examples=tuple(examples[status, reason]))
            for (status, reason), count in sorted(reasons.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
        ),
        stages=tuple(StageTime(stage=name, seconds=seconds[name], num_rows=ran[name]) for name in seconds),
        histograms=tuple(
            _histogram(column, np.array(values[column][0]), np.array(values[column][1], np.bool_), thresholds or {})
            for column in QUALITY_LABELS
            if column in values
        ),
    )


def _problem(row: Mapping[str, Any], id_column: str) -> Problem:
    message = str(row.get("message") or "")
    if len(message) > MAX_MESSAGE_CHARS:  # a traceback says what happened at its end
        half = MAX_MESSAGE_CHARS // 2
        message = f"{message[:half]}\n…\n{message[-half:]}"
    return Problem(
        id=str(row.get(id_column)),
        uri=str(row.get("uri") or ""),
        stage=str(row.get("stage") or ""),
        message=message,
        attempts=int(row.get("attempts") or 1),
    )


def _histogram(
    column: str, values: np.ndarray[Any, Any], good: np.ndarray[Any, Any], thresholds: Mapping[str, float]
) -> Histogram:
    threshold = thresholds.get(column)
    top = float(values.max())
    if column in _SHARES:
        low, high, num_bins = 0.0, 1.0, NUM_BINS
    elif column in _COUNTS:
        num_bins = min(NUM_BINS, max(6, int(top) + 1))
        low, high = -0.5, num_bins - 0.5
    else:  # long-tailed: the tail goes into the last bin
        high = min(top, 1.5 * float(np.quantile(values, 0.95)))
        low, high, num_bins = 0.0, max(high, 1.2 * (threshold or 0.0)) or 1.0, NUM_BINS
    inside = np.clip(values, low, high)
    edges = np.linspace(low, high, num_bins + 1)
    return Histogram(
        column=column,
        label=QUALITY_LABELS[column],
        low=low,
        high=high,
        ok=tuple(np.histogram(inside[good], edges)[0].tolist()),
        not_ok=tuple(np.histogram(inside[~good], edges)[0].tolist()),
        median=float(np.median(values)),
        threshold=threshold,
        clipped=top > high,
    )
