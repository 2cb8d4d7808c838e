"""Stage `pose`: whole-body keypoints of the character."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from models.pose.plausibility import plausible_pose
from models.pose.smoothing import smoothed
from stages.backends.base import NOT_IN_KEY, PEOPLE, BackendConfig, BackendStage
from stages.backends.perception import POSE, PeopleBackend, PoseBackend
from stages.base import Row

SMOOTHING_SECONDS = MappingProxyType({PEOPLE: 0.1})
"""By backend: how far the smoothing of keypoints reaches before and after a frame. Others are not smoothed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseConfig(BackendConfig):
    """Settings of `PoseStage`.

    Args:
        backend: embedded, people, dwpose, rtmw, sapiens or sapiens2.
        smoothing_seconds: how far smoothing over time reaches before and after a frame; 0: none; None: the backend's,
            `SMOOTHING_SECONDS`.
    """

    backend: str = PEOPLE
    smoothing_seconds: float | None = field(default=None, metadata=NOT_IN_KEY)

    signal: ClassVar = "pose"
    backends: ClassVar = POSE

    def __post_init__(self) -> None:
        super(PoseConfig, self).__post_init__()  # slots make another class than the one that super() alone knows
        if self.smoothing_seconds is not None and not 0 <= self.smoothing_seconds <= 1:
            raise ValueError(f"expected smoothing_seconds from 0 to 1, got {self.smoothing_seconds}")

    @property
    def half_window_seconds(self) -> float:
        """`smoothing_seconds` with the backend's in place of None."""
        if self.smoothing_seconds is None:
            return SMOOTHING_SECONDS.get(self.backend, 0.0)
        return self.smoothing_seconds

    @property
    def in_key(self) -> Mapping[str, Any]:
        """Those of `BackendConfig`, and the smoothing where there is any."""
        smoothing = {"smoothing_seconds": self.half_window_seconds} if self.half_window_seconds else {}
        return {**super(PoseConfig, self).in_key, **smoothing}


class PoseStage(BackendStage[PoseConfig, PoseBackend]):
    """Estimates keypoints (T, 133, 3) float32: x, y in working-size pixels and a score, near 0 for absent keypoints.

    Implausible keypoints (`models.pose.plausibility`) are 0; `implausible_share` is the share of the frames that lost
    all. `num_people`: (T,) int32, number of persons per frame including the character; None if the backend does not
    count.
    """

    name = "pose"
    version = 2  # without implausible keypoints
    reads = frozenset({"frames", "frame_seconds"})
    writes = frozenset({"keypoints", "num_people", "implausible_share"})

    def process(self, row: Row) -> Row:
        """Computes `keypoints`, `num_people` and `implausible_share`."""
        num_people, times = None, np.asarray(row["frame_seconds"], np.float64)
        if isinstance(self.backend, PeopleBackend):
            people = self.backend.people(row["frames"])
            keypoints, num_people = people.keypoints, people.num_people
            if people.of_others is not None:
                keypoints = np.where(people.of_others[..., None], np.float32(0), keypoints)
        else:
            keypoints = self.backend.keypoints(row["frames"])
        pose = plausible_pose(keypoints, times)
        keypoints = pose.keypoints
        if half_window_seconds := self.config.half_window_seconds:
            keypoints = smoothed(keypoints, times, half_window_seconds=half_window_seconds)
        return {"keypoints": keypoints, "num_people": num_people, "implausible_share": pose.implausible_share}
