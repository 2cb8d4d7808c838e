"""Stage of the measures on keypoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.common.digest import file_digest
from models.metrics.keypoints import expression_error, keypoint_distance, pck
from models.perception.shipped import FACE_CHECKPOINT
from models.pose.skeleton import FACE
from stages.backends.base import EMBEDDED, PEOPLE, BackendConfig, BackendStage
from stages.backends.perception import NETWORK_SIZES, POSE, PoseBackend
from stages.backends.trained import Included, holds, opened
from stages.base import Row
from stages.evaluate.values import value_or_none

if TYPE_CHECKING:
    from models.perception.face_landmarks import FaceLandmarks


_FACE_NETWORK = Included(path=FACE_CHECKPOINT, label="embedded-face", trained_by="perception", sizes=NETWORK_SIZES)


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedKeypointsConfig(BackendConfig):
    """`backend`: as in `PoseConfig`. Nothing is smoothed: that would hide the jitter of an animation."""

    backend: str = PEOPLE
    signal: ClassVar = "pose"
    backends: ClassVar = POSE


class ComparedKeypointsStage(BackendStage[ComparedKeypointsConfig, PoseBackend]):
    """Keypoints of both clips, `animation_keypoints` and `truth_keypoints`, (T, 133, 3) float32, and their differences.

    Expressions are those of the pose network's face landmarks; the included pose network hardly sees them, so that with
    it they are those of the included face network, or of the one in the folder of a trained pose network.
    """

    name = "keypoints"
    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames"})
    writes: ClassVar[frozenset[str]] = frozenset(
        {"animation_keypoints", "truth_keypoints", "pck", "keypoint_distance", "face_exp"}
    )
    transient: ClassVar[frozenset[str]] = frozenset({"animation_keypoints", "truth_keypoints"})

    _face: FaceLandmarks | None = None

    def open(self) -> None:
        """Load the networks."""
        super().open()
        if self.config.backend == EMBEDDED:
            from models.perception.face_landmarks import FaceLandmarks

            with self._face_file() as path:
                self._face = FaceLandmarks(path)

    def process(self, row: Row) -> Row:
        """Keypoints and measures of the row's pair."""
        animation = self.backend.keypoints(row["animation_frames"])
        truth = self.backend.keypoints(row["truth_frames"])
        return {
            "animation_keypoints": animation,
            "truth_keypoints": truth,
            "pck": value_or_none(pck(animation, truth)),
            "keypoint_distance": value_or_none(keypoint_distance(animation, truth)),
            "face_exp": value_or_none(
                expression_error(
                    self._with_face(row["animation_frames"], animation), self._with_face(row["truth_frames"], truth)
                )
            ),
        }

    @contextmanager
    def _files(self) -> Iterator[tuple[tuple[Path, ...], dict[str, str]]]:
        with super()._files() as (paths, digests):
            if self.config.backend == EMBEDDED:
                with self._face_file() as face:
                    digests[_FACE_NETWORK.label] = file_digest(face)
            yield paths, digests

    @contextmanager
    def _face_file(self) -> Iterator[Path]:
        folder = self.config.trained
        if folder is not None and not holds(folder, _FACE_NETWORK):
            folder = None
        with opened(folder, _FACE_NETWORK) as path:
            yield path

    def _with_face(self, frames_THWC: NDArray[np.uint8], keypoints_TK3: NDArray[np.float32]) -> NDArray[np.float32]:
        """Keypoints with the landmarks of the face network, if there is one."""
        if self._face is None:
            return keypoints_TK3
        refined = keypoints_TK3.copy()
        refined[:, FACE] = self._face.landmarks(frames_THWC, keypoints_TK3)
        return refined
