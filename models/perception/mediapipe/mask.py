"""Mask of the character: BlazePose's mask of the person whose skeleton it is."""

from __future__ import annotations

from dataclasses import replace

import cv2
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
SIDE_PX, RADIUS_PX, EPSILON = 128, 2, 1e-5
"""Of the guided filter: side of the pictures that its coefficients are computed for, and its parameters there. The best
on drawn persons cut out and set before other backgrounds, whose edges are known; a side of 256 pixels is no better."""
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
    size_px = frame_HWC.shape[:2]
    rough = body.region.paste(np.divide(body.mask, 255, dtype=np.float32), size_px, outside=0.0)
    x, y, width, height = cv2.boundingRect((rough >= 1 - CERTAIN).astype(np.uint8))
    part = np.s_[y : y + height, x : x + width]
    region = replace(body.region, x=body.region.x - x, y=body.region.y - y)
    refined = rough.copy()
    if width:
        coefficients = _coefficients(body, frame_HWC)
        enlarged = np.stack([region.paste(plane, (height, width), outside=0.0) for plane in coefficients])
        refined[part] = apply_coefficients(enlarged, frame_HWC[part])
    mask: NDArray[np.bool_] = np.where(np.abs(rough - 0.5) > CERTAIN - 0.5, rough, refined) >= 0.5
    return mask


def _coefficients(body: Body, frame_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    guide = body.region.cut(frame_HWC, len(body.mask))
    guide, mask = (cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for image in (guide, body.mask))
    return guided_coefficients(guide, np.divide(mask, 255, dtype=np.float32), radius_px=RADIUS_PX, epsilon=EPSILON)
