"""Whole-body keypoints of a clip's character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stages.backends.base import BackendConfig, BackendStage
from stages.backends.perception import POSE, PeopleBackend, PoseBackend
from stages.base import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseConfig(BackendConfig):
    """`backend`: embedded, dwpose, sapiens or sapiens2."""

    signal: ClassVar = "pose"
    backends: ClassVar = POSE


class PoseStage(BackendStage[PoseConfig, PoseBackend]):
    """Frames to keypoints (T, 133, 3) float32 in working-size pixels; a keypoint that is not there scores near 0.

    `num_people`: (T,) int32, the persons in each frame with the character among them; None where the backend looks for
    one character and does not count.
    """

    name = "pose"
    reads = frozenset({"frames"})
    writes = frozenset({"keypoints", "num_people"})

    def process(self, row: Row) -> Row:
        """`keypoints` and `num_people` of `frames`."""
        if isinstance(self.backend, PeopleBackend):
            people = self.backend.people(row["frames"])
            return {"keypoints": people.keypoints, "num_people": people.num_people}
        return {"keypoints": self.backend.keypoints(row["frames"]), "num_people": None}
