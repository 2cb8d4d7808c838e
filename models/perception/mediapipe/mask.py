"""Mask of the character: BlazePose's mask of the person whose skeleton it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.masks.guided_filter import apply_coefficients, guided_coefficients
from models.perception.mediapipe.body import Body
from models.perception.mediapipe.pose import body_keypoints
from models.perception.mediapipe.tracking import BodyTracker
from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import BODY

MAX_DISTANCE = 0.2
"""Largest mean distance between a skeleton and the body that is masked for it, relative to the body's longer side."""
RADIUS_PX, EPSILON = 3, 1e-5
"""Of the guided filter, in pixels of the network's mask. The best of 1 to 4 and 1e-6 to 1e-3 on pictures with
known edges: the boundary's F-measure at one pixel is 0.87, and 0.80 without the filter."""
CERTAIN = 0.9
"""Probability of the person, or of the background, that the filter does not change: it would thin out fingers where the
background has their colour."""


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
                masks[t] = picture_mask(body, frames_THWC[t])
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


def picture_mask(body: Body, frame_HWC: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mask (H, W) of a body in its frame.

    The network's mask has a tenth of the frame's pixels or less. Where it is uncertain, a guided filter puts its edges
    on those of the frame: the filter's coefficients are computed at the size of the mask, and applied to the frame.
    """
    probability = body.mask / np.float32(255)
    guide = body.region.cut(frame_HWC, len(body.mask))
    coefficients = guided_coefficients(guide, probability, radius_px=RADIUS_PX, epsilon=EPSILON)
    size_px = frame_HWC.shape[:2]
    enlarged = np.stack([body.region.paste(plane, size_px, outside=0.0) for plane in coefficients])
    refined = apply_coefficients(enlarged, frame_HWC)
    rough = body.region.paste(probability, size_px, outside=0.0)
    mask: NDArray[np.bool_] = np.where(np.abs(rough - 0.5) > CERTAIN - 0.5, rough, refined) >= 0.5
    return mask
