"""Depth within the character's body from BlazePose's z."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.perception.mediapipe.body import Body
from models.perception.mediapipe.face import HEAD
from models.perception.mediapipe.pose import character_bodies
from models.perception.mediapipe.tracking import BodyTracker

_LIMBS = np.array(
    [
        *((11, 12), (11, 23), (12, 24), (23, 24), (0, 11), (0, 12)),
        *((11, 13), (13, 15), (12, 14), (14, 16)),
        *((15, 17), (15, 19), (15, 21), (16, 18), (16, 20), (16, 22)),
        *((23, 25), (25, 27), (24, 26), (26, 28)),
        *((27, 29), (29, 31), (27, 31), (28, 30), (30, 32), (28, 32)),
    ]
)
"""Pairs of body landmarks."""
_TORSO = np.array([11, 12, 24, 23])
"""Its corners, in turn."""
_PARTS = 8
"""Number of pieces of one depth along a limb."""
LIMB_WIDTH = 0.1
"""Width of a painted limb relative to the longer side of the body's box; covers the skeleton's lines and fingers."""


class MediapipeDepth:
    """Relative depth of the character."""

    def __init__(self, bodies: BodyTracker) -> None:
        self.bodies = bodies

    def depth(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Depth (T, H, W) in pixels of the frames, relative to the middle of the character's hips, negative is nearer.

        Known on the torso, along the limbs and on the head; all other pixels have the largest depth of the clip.
        """
        bodies = character_bodies(self.bodies.bodies(frames_THWC), frames_THWC)
        farthest = max((float(body.landmarks[:, 2].max()) for body in bodies if body is not None), default=0.0)
        depth = np.full(frames_THWC.shape[:3], farthest, np.float32)
        for picture, body in zip(depth, bodies, strict=True):
            if body is not None:
                paint(picture, body)
        return depth


def paint(picture_HW: NDArray[np.float32], body: Body) -> None:
    """Paint the torso, the limbs, the nearest last, and the head into a picture."""
    xyz = body.landmarks[:, :3].astype(np.float64)
    ends = np.linspace(xyz[_LIMBS[:, 0]], xyz[_LIMBS[:, 1]], _PARTS + 1, axis=1)
    middle = ((ends[:, 1:, 2] + ends[:, :-1, 2]) / 2).ravel()
    starts, stops = (np.rint(part[..., :2]).astype(int).reshape(-1, 2) for part in (ends[:, :-1], ends[:, 1:]))
    side = float((body.box[2:] - body.box[:2]).max())
    width = max(round(LIMB_WIDTH * side), 1)
    head = xyz[HEAD]
    radius = round(2.0 * float(np.linalg.norm(head[:, :2] - head[:, :2].mean(axis=0), axis=1).max()))
    cv2.fillConvexPoly(picture_HW, np.rint(xyz[_TORSO, :2]).astype(np.int32), float(xyz[_TORSO, 2].mean()))
    order = np.argsort(-middle, kind="stable")
    for start, stop, z in zip(starts[order].tolist(), stops[order].tolist(), middle[order].tolist(), strict=True):
        cv2.line(picture_HW, start, stop, z, width)
    x, y, z = head.mean(axis=0).tolist()
    cv2.circle(picture_HW, (round(x), round(y)), radius, z, cv2.FILLED)
