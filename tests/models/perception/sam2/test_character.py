from __future__ import annotations

import numpy as np
import pytest

from models.perception.sam2.character import (
    RepromptRule,
    TrackedCharacter,
    has_parted,
    skeleton_box,
    skeleton_points,
    skeleton_prompt,
)
from models.perception.sam2.tracker import Sam2Tracker
from models.pose.skeleton import INDEX

HEIGHT, WIDTH = 120, 200
UPRIGHT = {
    "nose": (0, -40), "left_shoulder": (10, -30), "right_shoulder": (-10, -30), "left_elbow": (14, -12),
    "right_elbow": (-14, -12), "left_wrist": (16, 4), "right_wrist": (-16, 4), "left_hip": (7, 0),
    "right_hip": (-7, 0), "left_knee": (8, 20), "right_knee": (-8, 20), "left_ankle": (8, 40), "right_ankle": (-8, 40),
}  # fmt: skip


def skeleton(x: float, *, score: float = 0.9) -> np.ndarray:
    keypoints = np.zeros((133, 3), np.float32)
    for name, (dx, dy) in UPRIGHT.items():
        keypoints[INDEX[name]] = (x + dx, 60 + dy, score)
    return keypoints


def body(x: float) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[15:105, max(int(x) - 20, 0) : int(x) + 21] = True
    return mask


def points_of(keypoints: np.ndarray) -> np.ndarray:
    return skeleton_points(keypoints, width_px=WIDTH, height_px=HEIGHT)


class StickyTracker:
    """Tracker stub: correct within `reach` frames of a prompt; farther away, a mask at the left edge."""

    def __init__(self, where: list[float], *, reach: int) -> None:
        self.where, self.reach = where, reach
        self.prompted_frames: list[list[int]] = []

    def track(self, frames_THWC, objects):
        prompted = [prompt.frame for prompt in objects[0]]
        self.prompted_frames.append(prompted)
        near = [min(abs(t - p) for p in prompted) <= self.reach for t in range(len(frames_THWC))]
        return np.stack([body(x) if held else body(0) for x, held in zip(self.where, near, strict=True)])[None]


def follow(where: list[float], *, reach: int, keypoints: np.ndarray | None = None, **rule: float):
    tracker = StickyTracker(where, reach=reach)
    frames = np.zeros((len(where), HEIGHT, WIDTH, 3), np.uint8)
    keypoints = np.stack([skeleton(x) for x in where]) if keypoints is None else keypoints
    masks = TrackedCharacter(tracker, rule=RepromptRule(**rule)).character_mask(frames, keypoints)
    return masks, tracker.prompted_frames


def test_a_consistent_mask_is_tracked_once() -> None:
    where = [100.0 + t for t in range(10)]
    masks, prompted_frames = follow(where, reach=10)
    assert prompted_frames == [[4]]
    assert all(np.array_equal(mask, body(x)) for mask, x in zip(masks, where, strict=True))


def test_the_best_skeleton_prompts_first() -> None:
    keypoints = np.stack([skeleton(100, score=0.5 + 0.1 * (t == 3)) for t in range(6)])
    keypoints[5, INDEX["left_wrist"], 2] = 1.0
    keypoints[5, INDEX["right_wrist"], 2] = 0.0
    assert follow([100.0] * 6, reach=10, keypoints=keypoints)[1] == [[3]]


def test_disagreement_adds_prompts_from_the_skeleton() -> None:
    where = [110.0 + t for t in range(12)]
    masks, prompted_frames = follow(where, reach=3)
    assert prompted_frames == [[5], [0, 5, 10]]
    assert all(np.array_equal(mask, body(x)) for mask, x in zip(masks, where, strict=True))


def test_rounds_are_bounded() -> None:
    masks, prompted_frames = follow([100.0] * 60, reach=3, prompts_per_round=1)
    assert prompted_frames == [[29], [29, 46], [12, 29, 46]]
    assert (masks == body(100)).all((1, 2)).sum() == 7 + 7 + 7


def test_masks_that_do_not_improve_are_discarded() -> None:
    class Contrary(StickyTracker):
        def track(self, frames_THWC, objects):
            masks = super().track(frames_THWC, objects)
            return masks if len(objects[0]) == 1 else np.zeros_like(masks)

    tracker = Contrary([100.0] * 9, reach=2)
    keypoints = np.stack([skeleton(100.0)] * 9)
    masks = TrackedCharacter(tracker).character_mask(np.zeros((9, HEIGHT, WIDTH, 3), np.uint8), keypoints)
    assert len(tracker.prompted_frames) == 2
    assert (masks == body(100)).all((1, 2)).tolist() == [False] * 2 + [True] * 5 + [False] * 2


def test_a_single_disagreeing_frame_is_ignored() -> None:
    assert follow([100.0] * 5, reach=1)[1] == [[2]]


def test_frames_without_a_confident_skeleton_are_not_evaluated() -> None:
    keypoints = np.stack([skeleton(100, score=0.9 if t < 4 else 0.1) for t in range(12)])
    assert len(follow([100.0] * 12, reach=3, keypoints=keypoints)[1]) == 1


@pytest.mark.parametrize("keypoints", [skeleton(100, score=0.1), skeleton(-500)], ids=["nobody", "outside"])
def test_without_a_skeleton_in_the_picture_there_is_no_mask(keypoints: np.ndarray) -> None:
    masks, prompted_frames = follow([100.0] * 3, reach=9, keypoints=np.stack([keypoints] * 3))
    assert prompted_frames == []
    assert not masks.any()


def test_points_lie_inside_the_body() -> None:
    points = points_of(skeleton(100))
    assert len(points) == 11
    assert points[0].tolist() == [100, 45]
    assert body(100)[points[:, 1].round().astype(int), points[:, 0].round().astype(int)].all()
    assert len(points_of(skeleton(0))) < 11


def test_the_prompts_box_is_clipped_to_the_picture() -> None:
    prompt = skeleton_prompt(skeleton(5), frame=7, width_px=WIDTH, height_px=HEIGHT)
    assert prompt.frame == 7
    assert prompt.box[0] == 0
    assert 21 < prompt.box[2] < 32
    assert (prompt.positive >= -0.5).all()


@pytest.mark.parametrize(
    ("mask", "parted"),
    [
        (body(100), False),
        (body(20), True),
        (np.zeros((HEIGHT, WIDTH), bool), True),
        (np.ones((HEIGHT, WIDTH), bool), True),
        (body(100) & (np.arange(HEIGHT) < 40)[:, None], True),
        (body(100) & (np.arange(HEIGHT) < 85)[:, None], False),
    ],
    ids=["together", "elsewhere", "empty", "everything", "head-only", "no-feet"],
)
def test_has_parted(mask: np.ndarray, parted: bool) -> None:
    keypoints = skeleton(100)
    assert has_parted(mask, keypoints, points_of(keypoints), RepromptRule()) is parted


def test_a_box_needs_two_points() -> None:
    keypoints = np.zeros((133, 3), np.float32)
    keypoints[0] = (5, 6, 1)
    assert skeleton_box(keypoints) is None
    keypoints[1] = (9, 4, 1)
    assert skeleton_box(keypoints) == (5, 4, 10, 7)


def test_the_real_tracker_accepts_these_prompts(sam2_folder) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, HEIGHT, WIDTH, 3), dtype=np.uint8)
    keypoints = np.stack([skeleton(100)] * 4)
    masks = TrackedCharacter(Sam2Tracker(sam2_folder)).character_mask(frames, keypoints)
    assert masks.shape == (4, HEIGHT, WIDTH)
