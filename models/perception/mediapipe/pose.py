"""Pose of people with MediaPipe's published networks (BlazePose, arXiv:2006.10204; hands, arXiv:2006.10214)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.perception.joints_of_others import joints_of_others
from models.perception.mediapipe.body import Body
from models.perception.mediapipe.face import FaceLandmarks
from models.perception.mediapipe.hands import HandLandmarks
from models.perception.mediapipe.layout import whole_body
from models.perception.mediapipe.tracking import BodyTracker
from models.perception.people import ClipPeople, Persons, character
from models.pose.skeleton import NUM_KEYPOINTS


class MediapipePose:
    """Keypoints of people."""

    def __init__(self, folder: Path, *, bodies: BodyTracker) -> None:
        """Open the networks of hands and face, in `folder` as in the published package.

        Raises:
            CheckpointError: LiteRT is not installed, or a file is absent, damaged or of another network.
        """
        self.bodies = bodies
        self.hands = HandLandmarks(
            folder / "holistic_landmark/hand_recrop.tflite", folder / "hand_landmark/hand_landmark_full.tflite"
        )
        self.face = FaceLandmarks(folder / "face_landmark/face_landmark.tflite")

    def keypoints(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Keypoints (T, 133, 3) of the clip's character: x, y in pixels, score 0–1; all 0 in frames without it."""
        return self.people(frames_THWC).keypoints

    def people(self, frames_THWC: NDArray[np.uint8]) -> ClipPeople:
        """Keypoints of the clip's character (see `models.perception.people.character`) and number of persons."""
        bodies_T = self.bodies.bodies(frames_THWC)
        keypoints = np.zeros((len(frames_THWC), NUM_KEYPOINTS, 3), np.float32)
        of_others = np.zeros(keypoints.shape[:2], bool)
        hands: dict[str, NDArray[np.float32] | None] = {}
        for t, body in enumerate(character_bodies(bodies_T, frames_THWC)):
            if body is None:
                hands = {}
                continue
            frame = frames_THWC[t]
            hands = {side: self.hands.find(frame, body, side, hands.get(side)) for side in ("left", "right")}
            keypoints[t] = whole_body(
                body.landmarks,
                left_hand=hands["left"],
                right_hand=hands["right"],
                face=self.face.find(frame, body),
            )
            others = [body_keypoints(other) for other in bodies_T[t] if other is not body]
            of_others[t] = joints_of_others(keypoints[t], np.array(others).reshape(-1, NUM_KEYPOINTS, 3))
        num_people = np.array([len(bodies) for bodies in bodies_T], np.int32)
        return ClipPeople(keypoints=keypoints, num_people=num_people, of_others=of_others)


def character_bodies(bodies_T: list[list[Body]], frames_THWC: NDArray[np.uint8]) -> list[Body | None]:
    """Body of the clip's character in each frame; None in frames without it."""
    height, width = frames_THWC.shape[1:3]
    chosen = character([_persons(bodies) for bodies in bodies_T], width_px=width, height_px=height)
    return [bodies[index] if index >= 0 else None for bodies, index in zip(bodies_T, chosen, strict=True)]


def body_keypoints(body: Body) -> NDArray[np.float32]:
    """Keypoints (133, 3) of a body alone: hands and face are 0."""
    return whole_body(body.landmarks, left_hand=None, right_hand=None, face=None)


def _persons(bodies: list[Body]) -> Persons:
    return Persons(
        boxes=np.array([body.box for body in bodies], np.float32).reshape(-1, 4),
        scores=np.array([body.presence for body in bodies], np.float32),
        keypoints=np.array([body_keypoints(body) for body in bodies], np.float32).reshape(-1, NUM_KEYPOINTS, 3),
    )
