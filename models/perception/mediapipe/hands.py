"""Hand landmarks from a body's wrist and fingers (`hand_recrop.tflite`, `hand_landmark_full.tflite`)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.perception.mediapipe.body import Body
from models.perception.mediapipe.interpreter import TfliteNetwork
from models.perception.mediapipe.region import DOWNWARDS, UPWARDS, Region

SIDES = {"left": (15, 17, 19), "right": (16, 18, 20)}
"""Body landmarks of each side: wrist, little finger, index finger."""
NUM_LANDMARKS = 21
RECROP_SIDE_PX, SIDE_PX = 256, 224
MIN_PRESENCE = 0.5
"""Least probability that there is a hand in the region."""
MIN_WRIST_SCORE = 0.1
BODY_SCALE, SHIFT = 2.7, 0.1
"""Half a side of the region from the body, relative to the distance from the wrist to the middle of the fingers; shift
towards the fingers, relative to a side before it is scaled."""
LANDMARKS_SCALE = 2.0
"""Side of the region from landmarks, relative to their box."""
_PALM = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])
"""Landmarks that say where the hand is: the palm and the fingers' first joints."""
_INDEX, _MIDDLE, _RING = 6, 10, 14
MAX_TURN, MAX_SHIFT, MAX_SCALE = math.radians(40), 0.2, 0.4
"""Largest differences from the body's region, in radians and in its sides, up to which a hand's own region is kept."""
MAX_OUTSIDE = 0.45
"""Largest distance of landmarks from the centre of the body's region, in its sides, up to which theirs is kept."""


class HandLandmarks:
    """Hands of a person, one frame after the other."""

    def __init__(self, recrop: Path, landmarks: Path) -> None:
        """Open the files.

        Raises:
            CheckpointError: LiteRT is not installed, or a file is absent, damaged or of another network.
        """
        self.recrop = TfliteNetwork(recrop, side_px=RECROP_SIDE_PX, output_shapes=[(1, 1, 4)])
        shapes = [(3 * NUM_LANDMARKS,), (1,), (1,), (3 * NUM_LANDMARKS,)]
        self.landmarks = TfliteNetwork(landmarks, side_px=SIDE_PX, output_shapes=shapes)

    def find(
        self, frame_HWC: NDArray[np.uint8], body: Body, side: str, before: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        """Landmarks (21, 3) of a hand, x, y in pixels and score 0–1; None if it is not in view.

        `side`: left or right, the person's own. `before`: landmarks in the frame before, which say where the hand is if
        the body agrees.
        """
        rough = region_from_body(body, side)
        if rough is None:
            return None
        (points,) = self.recrop.run(rough.cut(frame_HWC, RECROP_SIDE_PX))
        region = region_from_recrop(points.reshape(2, 2) / RECROP_SIDE_PX, rough)
        if before is not None and (own := region_from_landmarks(before)).side_px and agree(own, before, region):
            region = own
        values, presence, _, _ = self.landmarks.run(region.cut(frame_HWC, SIDE_PX))
        if not presence[0] >= MIN_PRESENCE:
            return None
        xy = region.to_frame(values.reshape(NUM_LANDMARKS, 3)[:, :2] / SIDE_PX)
        return np.column_stack([xy, np.full(NUM_LANDMARKS, presence[0], np.float32)])


def region_from_body(body: Body, side: str) -> Region | None:
    """Region of a hand, from the body's wrist to the middle of the fingers; None if the wrist is not in view."""
    wrist, little, index = body.landmarks[list(SIDES[side])]
    middle = (2 * index[:2] + little[:2]) / 3
    if wrist[3] < MIN_WRIST_SCORE or not (middle != wrist[:2]).any():
        return None
    # The wrist lies below the middle of the fingers.
    return Region.around(middle, wrist[:2], scale=BODY_SCALE, towards=DOWNWARDS).moved(up=SHIFT / BODY_SCALE)


def region_from_recrop(points_22: NDArray[np.floating], rough: Region) -> Region:
    """Region of a hand from the two points of `hand_recrop`, 0 to 1 in the rough region: centre and lower edge."""
    centre, edge = rough.to_frame(points_22)
    return Region.around(centre, edge, scale=1.0, towards=DOWNWARDS).moved(up=SHIFT)


def region_from_landmarks(landmarks: NDArray[np.float32]) -> Region:
    """Region of a hand from its landmarks (21, 3), the fingers upwards."""
    points = landmarks[:, :2].astype(np.float64)
    knuckles = (points[_INDEX] + points[_RING]) / 4 + points[_MIDDLE] / 2
    dx, dy = knuckles - points[0]
    angle = math.remainder(math.atan2(dy, dx) - UPWARDS, math.tau)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    level = points[_PALM] @ turn
    low, high = level.min(axis=0), level.max(axis=0)
    (x, y), (width, height) = turn @ ((low + high) / 2), high - low
    box = Region(x=float(x), y=float(y), side_px=float(height), angle=angle).moved(up=SHIFT)
    return Region(x=box.x, y=box.y, side_px=LANDMARKS_SCALE * float(max(width, height)), angle=angle)


def agree(own: Region, landmarks: NDArray[np.float32], expected: Region) -> bool:
    """Whether a hand's own region, from landmarks of the frame before, is near to the one that its body expects."""
    cosine, sine = math.cos(expected.angle), math.sin(expected.angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    shift = np.abs((own.x - expected.x, own.y - expected.y) @ turn)
    inside = np.abs((landmarks[:, :2] - (expected.x, expected.y)) @ turn)
    return bool(
        abs(math.remainder(own.angle - expected.angle, math.tau)) <= MAX_TURN
        and shift.max() <= MAX_SHIFT * expected.side_px
        and abs(own.side_px - expected.side_px) <= MAX_SCALE * expected.side_px
        and inside.max() < MAX_OUTSIDE * expected.side_px
    )
