"""Stage `pose`: whole-body keypoints of the character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stages.backends.base import PEOPLE, BackendConfig, BackendStage
from stages.backends.perception import POSE, PeopleBackend, PoseBackend
from stages.base import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseConfig(BackendConfig):
    """`backend`: embedded, people, dwpose, sapiens or sapiens2."""

    backend: str = PEOPLE
    signal: ClassVar = "pose"
    backends: ClassVar = POSE


class PoseStage(BackendStage[PoseConfig, PoseBackend]):
    """Estimates keypoints (T, 133, 3) float32: x, y in working-size pixels and a score, near 0 for absent keypoints.

    `num_people`: (T,) int32, number of persons per frame including the character; None if the backend does not count.
    """

    name = "pose"
    reads = frozenset({"frames"})
    writes = frozenset({"keypoints", "num_people"})

    def process(self, row: Row) -> Row:
        """Computes `keypoints` and `num_people`."""
        if isinstance(self.backend, PeopleBackend):
            people = self.backend.people(row["frames"])
            return {"keypoints": people.keypoints, "num_people": people.num_people}
        return {"keypoints": self.backend.keypoints(row["frames"]), "num_people": None}
