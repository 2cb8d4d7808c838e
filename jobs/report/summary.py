"""Summary of the rows of a dataset: counts, reasons, stage times, histograms, example problems."""

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
    "implausible_share": "Frames with an implausible skeleton",
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
_SHARES = frozenset({"implausible_share", "pose_confidence", "person_share", "keypoints_inside_mask", "mask_area_jump"})


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
    """Number of rows with one status and reason, and the first `MAX_EXAMPLES` of them."""

    status: str
    reason: str
    count: int
    examples: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTime:
    """Total time of one stage over all rows that ran it."""

    stage: str
    seconds: float
    num_rows: int

    @property
    def rows_per_second(self) -> float:
        """Throughput of one worker that runs this stage only."""
        return self.num_rows / self.seconds if self.seconds > 0 else float("inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Histogram of one quality column, by ok and not ok. Values above `high` are counted in the last bin."""

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
    """Summary of a dataset."""

    counts: Mapping[str, int]
    """Number of rows by status, for all statuses."""
    reasons: tuple[ReasonCount, ...]
    """Sorted by status (failed first), then by descending count."""
    stages: tuple[StageTime, ...]
    histograms: tuple[Histogram, ...]

    @property
    def total(self) -> int:
        """Number of all rows."""
        return sum(self.counts.values())


def summarise(
    rows: Iterable[Mapping[str, Any]], *, id_column: str, thresholds: Mapping[str, float] | None = None
) -> Summary:
    """Summarise rows in one pass, from their outcome, `uri`, `seconds_by_stage` and quality columns.

    Args:
        rows: dictionaries, with named values as dictionaries. Absent columns are skipped.
        id_column: `clip_id` or `video_id`.
        thresholds: threshold by quality column, to mark in its histogram.

    Raises:
        ValueError: an unknown status.
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
        for stage, stage_seconds in (row.get("seconds_by_stage") or {}).items():
            seconds[stage] += stage_seconds
            ran[stage] += 1
        for column in QUALITY_LABELS:
            if row.get(column) is not None:
                numbers, ok = values.setdefault(column, (array("d"), array("b")))
                numbers.append(row[column])
                ok.append(status == Status.OK)
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
    if len(message) > MAX_MESSAGE_CHARS:  # keeps the end, where a traceback has its cause
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
    column: str, values: np.ndarray[Any, Any], ok: np.ndarray[Any, Any], thresholds: Mapping[str, float]
) -> Histogram:
    threshold = thresholds.get(column)
    top = float(values.max())
    if column in _SHARES:
        low, high, num_bins = 0.0, 1.0, NUM_BINS
    elif column in _COUNTS:
        num_bins = min(NUM_BINS, max(6, int(top) + 1))
        low, high = -0.5, num_bins - 0.5
    else:  # long-tailed: the last bin holds the tail
        high = min(top, 1.5 * float(np.quantile(values, 0.95)))
        low, high, num_bins = 0.0, max(high, 1.2 * (threshold or 0.0)) or 1.0, NUM_BINS
    inside = np.clip(values, low, high)
    edges = np.linspace(low, high, num_bins + 1)
    return Histogram(
        column=column,
        label=QUALITY_LABELS[column],
        low=low,
        high=high,
        ok=tuple(np.histogram(inside[ok], edges)[0].tolist()),
        not_ok=tuple(np.histogram(inside[~ok], edges)[0].tolist()),
        median=float(np.median(values)),
        threshold=threshold,
        clipped=top > high,
    )
