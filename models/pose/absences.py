"""Time without a person in a clip, and interpolation of keypoints over short gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE

INTERPOLATED_SCORE = 0.3125
"""Score of interpolated keypoints: just above `CONFIDENT_SCORE`, so that they are drawn; exact in binary."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Absence:
    """Frames `start` to `stop` - 1 without a person, and the time until the next frame with one or the clip's end."""

    start: int
    stop: int
    duration_seconds: float


def find_absences(shown: NDArray[np.bool_], frame_seconds: NDArray[np.float64]) -> list[Absence]:
    """All absences of a clip, in order; the last frame is assumed to last as long as the one before it.

    `shown`: (T,), whether a frame shows the person. `frame_seconds`: (T,), ascending.
    """
    last = frame_seconds[-1:] + np.diff(frame_seconds[-2:])
    ends = np.append(frame_seconds, last if len(last) else frame_seconds)
    edges = np.diff(np.concatenate([[True], shown, [True]]).astype(np.int8))
    runs = zip(np.flatnonzero(edges == -1).tolist(), np.flatnonzero(edges == 1).tolist(), strict=True)
    return [Absence(start=start, stop=stop, duration_seconds=float(ends[stop] - ends[start])) for start, stop in runs]


def interpolate_gaps(
    keypoints: NDArray[np.float32], frame_seconds: NDArray[np.float64], *, max_gap_seconds: float
) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) with each one that is lost for at most `max_gap_seconds` interpolated linearly in time.

    A keypoint is lost in frames in which it is not confident. A gap lasts until the next frame with the keypoint; there
    is none before the first and after the last of them. Interpolated keypoints score `INTERPOLATED_SCORE`.
    """
    confident = keypoints[..., 2] >= CONFIDENT_SCORE
    num_frames = len(keypoints)
    frames = np.arange(num_frames)[:, None]
    before = np.maximum.accumulate(np.where(confident, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(confident, frames, num_frames)[::-1], axis=0)[::-1]
    inside = ~confident & (before >= 0) & (after < num_frames)
    first, t, after = before[inside] + 1, np.nonzero(inside)[0], after[inside]
    point = np.nonzero(inside)[1]
    short = frame_seconds[after] - frame_seconds[first] <= max_gap_seconds
    first, t, after, point = first[short], t[short], after[short], point[short]
    start_seconds = frame_seconds[first - 1]
    share = ((frame_seconds[t] - start_seconds) / (frame_seconds[after] - start_seconds))[:, None]
    result = keypoints.copy()
    result[t, point, :2] = (1 - share) * keypoints[first - 1, point, :2] + share * keypoints[after, point, :2]
    result[t, point, 2] = INTERPOLATED_SCORE
    return result


def without_interpolated(keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keypoints (..., 3) of which interpolated ones have score 0."""
    detected = keypoints.copy()
    detected[keypoints[..., 2] == INTERPOLATED_SCORE, 2] = 0.0
    return detected
