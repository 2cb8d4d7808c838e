"""Mask of the character: BlazePose's mask of the person whose skeleton it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.perception.mediapipe.body import Body
from models.perception.mediapipe.pose import body_keypoints
from models.perception.mediapipe.tracking import BodyTracker
from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import BODY

MAX_DISTANCE = 0.2
"""Largest mean distance between a skeleton and the body that is masked for it, relative to the body's longer side."""
THRESHOLD = 127.5
"""Half of the mask's range."""


class MediapipeMask:
    """Masks of characters with given keypoints."""

    def __init__(self, bodies: BodyTracker) -> None:
        self.bodies = bodies

    def character_mask(self, frames_THWC: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Masks (T, H, W) of the character with `keypoints` (T, 133, 3); empty where no body is near them."""
        masks = np.zeros(frames_THWC.shape[:3], np.bool_)
        for t, bodies in enumerate(self.bodies.bodies(frames_THWC)):
            body = nearest(bodies, keypoints[t])
            if body is not None:
                masks[t] = picture_mask(body, frames_THWC.shape[1:3])
        return masks


def nearest(bodies: list[Body], keypoints_K3: NDArray[np.float32]) -> Body | None:
    """The body with the smallest mean distance to the confident body keypoints; None if none is near."""
    confident = keypoints_K3[BODY, 2] >= CONFIDENT_SCORE
    if not bodies or not confident.any():
        return None
    points = keypoints_K3[BODY][confident, :2]
    apart = [
        float(np.linalg.norm(body_keypoints(body)[BODY][confident, :2] - points, axis=1).mean())
        / max(float((body.box[2:] - body.box[:2]).max()), 1.0)
        for body in bodies
    ]
    best = int(np.argmin(apart))
    return bodies[best] if apart[best] <= MAX_DISTANCE else None


def picture_mask(body: Body, size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Mask (H, W) of a body in a picture of `size_px` (height, width)."""
    mask: NDArray[np.bool_] = body.region.paste(body.mask.astype(np.float32), size_px, outside=0.0) >= THRESHOLD
    return mask
