"""Bodies of all persons of a clip: regions followed from frame to frame, and the detector where one is lost."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.perception.mediapipe.body import Body, BodyLandmarks
from models.perception.mediapipe.detector import BodyDetector
from models.perception.people import MAX_POSED

DETECT_EVERY_FRAMES = 8
"""The detector also looks for new persons this often."""
MAX_DISTANCE = 0.15
"""Two bodies whose shoulders and hips are nearer, relative to the longer side of a box, are one person found twice."""
_NOSE = 0
_TORSO = np.array([11, 12, 23, 24])


class BodyTracker:
    """Bodies of all persons of a clip."""

    def __init__(self, folder: Path) -> None:
        """Open the files, in `folder` as in the published package.

        Raises:
            CheckpointError: LiteRT is not installed, or a file is absent, damaged or of another network.
        """
        self.detector = BodyDetector(folder / "pose_detection/pose_detection.tflite")
        self.landmarks = BodyLandmarks(folder / "pose_landmark/pose_landmark_full.tflite")
        self._last: tuple[weakref.ref[NDArray[np.uint8]], list[list[Body]]] | None = None

    def bodies(self, frames_THWC: NDArray[np.uint8]) -> list[list[Body]]:
        """Bodies of each frame, at most `MAX_POSED`, those followed from the frame before first.

        The bodies of the last clip are kept as long as its frames are in memory, for its pose, mask and depth.
        """
        if self._last is None or self._last[0]() is not frames_THWC:
            self._last = None
            self._last = weakref.ref(frames_THWC), self._follow(frames_THWC)
        return self._last[1]

    def _follow(self, frames_THWC: NDArray[np.uint8]) -> list[list[Body]]:
        bodies_T: list[list[Body]] = []
        before: list[Body] = []
        for t, frame in enumerate(frames_THWC):
            bodies: list[Body] = []
            for body in before:
                self._add(bodies, self.landmarks.find(frame, body.next_region))
            if t % DETECT_EVERY_FRAMES == 0 or len(bodies) < len(before) or not bodies:
                self._detect(frame, bodies)
            bodies_T.append(bodies)
            before = bodies
        return bodies_T

    def _detect(self, frame_HWC: NDArray[np.uint8], bodies: list[Body]) -> None:
        for detection in self.detector.detect(frame_HWC):
            if len(bodies) == MAX_POSED:
                return
            if not any(_contains(detection.box, body.landmarks[_NOSE, :2]) for body in bodies):
                self._add(bodies, self.landmarks.find(frame_HWC, detection.region))

    @staticmethod
    def _add(bodies: list[Body], body: Body | None) -> None:
        if body is not None and not any(same_person(body, other) for other in bodies):
            bodies.append(body)


def same_person(one: Body, other: Body) -> bool:
    """Whether two bodies of one frame are the same person, found in two regions."""
    apart = np.linalg.norm(one.landmarks[_TORSO, :2] - other.landmarks[_TORSO, :2], axis=1).mean()
    side = max(float((body.box[2:] - body.box[:2]).max()) for body in (one, other))
    return bool(apart < MAX_DISTANCE * side)


def _contains(box: NDArray[np.float32], point: NDArray[np.float32]) -> bool:
    return bool((box[:2] <= point).all() and (point <= box[2:]).all())
