"""Stage of the measures on faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.metrics.consistency import cosines
from stages.backends.base import BackendConfig, BackendStage
from stages.backends.features import FACES, FaceNetwork
from stages.base import Row
from stages.evaluate.values import mean_or_none


@dataclass(frozen=True, kw_only=True, slots=True)
class FacesConfig(BackendConfig):
    """`backend`: adaface; or yunet, which detects faces only and leaves `face_cos` empty."""

    backend: str = "adaface"

    signal: ClassVar = "faces"
    backends: ClassVar = FACES


class FacesStage(BackendStage[FacesConfig, FaceNetwork]):
    """Share of frames with a face, and the cosine of the faces of both clips; None if no frame of both shows one."""

    name = "faces"
    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames"})
    writes: ClassVar[frozenset[str]] = frozenset({"face_det", "face_det_truth", "face_cos"})

    def process(self, row: Row) -> Row:
        """The measures of the row's pair."""
        animation, detected = self.backend.faces(row["animation_frames"])
        truth, truth_detected = self.backend.faces(row["truth_frames"])
        both = detected & truth_detected
        face_cos = None
        if animation is not None and truth is not None:
            face_cos = mean_or_none(cosines(animation[both], truth[both]))
        return {
            "face_det": float(np.mean(detected)),
            "face_det_truth": float(np.mean(truth_detected)),
            "face_cos": face_cos,
        }
