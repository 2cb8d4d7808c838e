"""Stage `pose`: whole-body keypoints of the character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.pose.plausibility import plausible_pose
from stages.backends.base import BackendConfig, BackendStage
from stages.backends.perception import POSE, PeopleBackend, PoseBackend
from stages.base import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseConfig(BackendConfig):
    """`backend`: embedded, people, dwpose, sapiens or sapiens2."""

    signal: ClassVar = "pose"
    backends: ClassVar = POSE


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
        if isinstance(self.backend, PeopleBackend):
            people = self.backend.people(row["frames"])
            keypoints, num_people = people.keypoints, people.num_people
        else:
            keypoints, num_people = self.backend.keypoints(row["frames"]), None
        pose = plausible_pose(keypoints, np.asarray(row["frame_seconds"], np.float64))
        return {
            "keypoints": pose.keypoints,
            "num_people": num_people,
            "implausible_share": pose.implausible_share,
        }
