"""Character mask from a video tracker, prompted from the skeleton and re-prompted where mask and skeleton disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.perception.letterbox import Box
from models.perception.prompts import ObjectPrompt
from models.perception.sam2.tracker import VideoTracker
from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import BODY, INDEX, LIMBS

TORSO = np.array([INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("shoulder", "hip")])
INNER_LIMBS = np.array(
    [
        LIMBS[name]
        for name in (
            *(f"{side}_{limb}" for side in ("left", "right") for limb in ("upper_arm", "forearm", "thigh", "shin")),
            *(f"{side}_side" for side in ("left", "right")),
        )
    ]
)
"""(10, 2) keypoint pairs of limbs whose midpoint lies well inside the body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RepromptRule:
    """Criterion of disagreement between mask and skeleton, and re-prompting parameters.

    A frame is evaluated if it has at least `min_points` confident skeleton points. Mask and skeleton disagree if less
    than `min_inside` of these points lie in the mask (dilated by `slack` of the skeleton's box), or more than
    `max_outside` of the mask's area lies outside that box, enlarged by `box_slack` of its longer side on every side.
    Runs of at least `min_frames` disagreeing frames, ignoring frames not evaluated, get one prompt each, in the frame
    with the best skeleton; the longest `prompts_per_round` runs first. The clip is then tracked again from all prompts,
    and the new masks are kept if fewer frames disagree. This is repeated at most `max_rounds` times.
    """

    min_points: int = 4
    min_inside: float = 0.6
    max_outside: float = 0.5
    slack: float = 0.02
    box_slack: float = 0.35
    min_frames: int = 2
    prompts_per_round: int = 4
    max_rounds: int = 2


class TrackedCharacter:
    """Character masks from a video tracker and keypoints."""

    def __init__(self, tracker: VideoTracker, *, rule: RepromptRule | None = None) -> None:
        self.tracker = tracker
        self.rule = rule or RepromptRule()

    def character_mask(self, frames_THWC: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Masks (T, H, W) of the character with `keypoints` (T, 133, 3).

        The frame with the best skeleton (most skeleton points, then highest scores) prompts the first pass. The masks
        are empty if no frame has a confident skeleton inside the picture.
        """
        size = (frames_THWC.shape[2], frames_THWC.shape[1])
        points = [skeleton_points(frame_K3, width_px=size[0], height_px=size[1]) for frame_K3 in keypoints]
        if not any(len(points_N2) for points_N2 in points):
            return np.zeros(frames_THWC.shape[:3], np.bool_)
        # The number of skeleton points outweighs their scores.
        quality = np.array([len(points_N2) for points_N2 in points]) + keypoints[:, BODY, 2].clip(0, 1).mean(axis=1)
        prompted = {best_frame(range(len(quality)), quality)}
        masks = self._follow(frames_THWC, keypoints, prompted, size)
        parted = self._parted(masks, keypoints, points)
        for _ in range(self.rule.max_rounds):
            new = self._choose(parted, quality, prompted)
            if not new:
                break
            prompted |= new
            again = self._follow(frames_THWC, keypoints, prompted, size)
            parted_again = self._parted(again, keypoints, points)
            if (parted_again == 1).sum() >= (parted == 1).sum():
                break
            masks, parted = again, parted_again
        return masks

    def _follow(
        self,
        frames_THWC: NDArray[np.uint8],
        keypoints: NDArray[np.float32],
        prompted: set[int],
        size: tuple[int, int],
    ) -> NDArray[np.bool_]:
        prompts = [
            skeleton_prompt(keypoints[t], frame=t, width_px=size[0], height_px=size[1]) for t in sorted(prompted)
        ]
        masks: NDArray[np.bool_] = self.tracker.track(frames_THWC, [prompts])[0]
        return masks

    def _parted(
        self, masks: NDArray[np.bool_], keypoints: NDArray[np.float32], points: list[NDArray[np.float32]]
    ) -> NDArray[np.int8]:
        """(T) 1 disagreement, 0 agreement, -1 not evaluated."""
        return np.array(
            [
                -1 if len(xy) < self.rule.min_points else int(has_parted(mask, frame_K3, xy, self.rule))
                for mask, frame_K3, xy in zip(masks, keypoints, points, strict=True)
            ],
            np.int8,
        )

    def _choose(self, parted: NDArray[np.int8], quality: NDArray[np.float64], prompted: set[int]) -> set[int]:
        judged = np.flatnonzero(parted >= 0)
        breaks = np.flatnonzero(np.diff(parted[judged])) + 1
        stretches = [s for s in np.split(judged, breaks) if len(s) >= self.rule.min_frames and parted[s[0]] == 1]
        stretches.sort(key=len, reverse=True)
        free = [
            [t for t in stretch.tolist() if t not in prompted] for stretch in stretches[: self.rule.prompts_per_round]
        ]
        return {best_frame(stretch, quality) for stretch in free if stretch}


def best_frame(frames: Sequence[int], quality: NDArray[np.float64]) -> int:
    """Frame with the best skeleton, with quality rounded to a tenth; ties go to the frame nearest to the middle."""
    middle = (frames[0] + frames[-1]) / 2
    return max(frames, key=lambda t: (round(float(quality[t]), 1), -abs(t - middle)))


def skeleton_points(keypoints_K3: NDArray[np.float32], *, width_px: int, height_px: int) -> NDArray[np.float32]:
    """Points (N, 2) well inside the body: the centre of the torso, the midpoints of its sides and of the limbs.

    Only from confident keypoints, and only inside the picture. Joints are too near to the outline.
    """
    confident = keypoints_K3[:, 2] >= CONFIDENT_SCORE
    limbs = INNER_LIMBS[confident[INNER_LIMBS].all(axis=1)]
    middles = keypoints_K3[limbs, :2].mean(axis=1)
    torso = keypoints_K3[TORSO, :2].mean(axis=0, keepdims=True) if confident[TORSO].all() else np.zeros((0, 2))
    points = np.concatenate([torso, middles]).astype(np.float32)
    inside = np.asarray((points >= -0.5) & (points <= np.array([width_px, height_px]) - 0.5)).all(axis=1)
    return points[inside]


def skeleton_box(keypoints_K3: NDArray[np.float32]) -> Box | None:
    """Box of the confident keypoints, with exclusive ends; None if there are fewer than two."""
    points = keypoints_K3[keypoints_K3[:, 2] >= CONFIDENT_SCORE, :2]
    if len(points) < 2:
        return None
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0) + 1
    return float(x0), float(y0), float(x1), float(y1)


def skeleton_prompt(
    keypoints_K3: NDArray[np.float32], *, frame: int, width_px: int, height_px: int, room: float = 0.08
) -> ObjectPrompt:
    """Prompt of the skeleton points and the keypoints' box, enlarged by `room` of its longer side and clipped.

    Raises:
        ValueError: the frame has neither a box nor a point inside the picture.
    """
    box = skeleton_box(keypoints_K3)
    if box is not None:
        x0, y0, x1, y1 = _enlarged(box, room * max(box[2] - box[0], box[3] - box[1]))
        x0, x1 = (min(max(value, 0.0), float(width_px)) for value in (x0, x1))
        y0, y1 = (min(max(value, 0.0), float(height_px)) for value in (y0, y1))
        box = (x0, y0, x1, y1) if x1 - x0 >= 1 and y1 - y0 >= 1 else None
    points = skeleton_points(keypoints_K3, width_px=width_px, height_px=height_px)
    return ObjectPrompt(frame=frame, box=box, positive=points, negative=np.zeros((0, 2), np.float32))


def has_parted(
    mask: NDArray[np.bool_], keypoints_K3: NDArray[np.float32], points: NDArray[np.float32], rule: RepromptRule
) -> bool:
    """Whether mask (H, W) and skeleton disagree in one frame (see `RepromptRule`); `points`: of `skeleton_points`."""
    box = skeleton_box(keypoints_K3)
    area = int(mask.sum())
    if box is None or area == 0:
        return True
    height, width = mask.shape
    side = max(box[2] - box[0], box[3] - box[1])
    reach = max(round(rule.slack * side), 1)
    dilated = cv2.dilate(mask.view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    x, y = np.round(points).astype(int).clip(0, (width - 1, height - 1)).T
    x0, y0, x1, y1 = (round(value) for value in _enlarged(box, rule.box_slack * side))
    area_inside = int(mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)].sum())
    return bool(dilated[y, x].mean() < rule.min_inside or 1 - area_inside / area > rule.max_outside)


def _enlarged(box: Box, by_px: float) -> Box:
    return box[0] - by_px, box[1] - by_px, box[2] + by_px, box[3] + by_px
