"""Skeletons of chosen limb lengths in random poses."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.pose.proportions import GROUPS, with_centres
from models.pose.skeleton import FACE, INDEX, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

LENGTHS_PX = {  # of a person of about 170 pixels
    "shoulders": 40.0,
    "hips": 24.0,
    "torso": 52.0,
    "neck": 26.0,
    "upper_arms": 30.0,
    "forearms": 26.0,
    "thighs": 42.0,
    "shins": 40.0,
    "head": 8.0,
    "hands": 9.0,
    "feet": 12.0,
}


def skeleton(
    lengths_px: dict[str, float], angles: NDArray[np.float64], neck: tuple[float, float]
) -> NDArray[np.float32]:
    """A whole skeleton (133, 3) whose limbs have the given lengths; (20,) angles in radians bend it.

    Shoulders and hips are level; head, hands and feet are fans of points at their group's length or multiples of it.
    """
    xy = np.zeros((NUM_KEYPOINTS, 2))
    bend = iter(angles)

    def along(angle: float) -> NDArray[np.float64]:
        return np.array([math.sin(angle), math.cos(angle)])  # 0 points down

    def fan(start: NDArray[np.float64], points: list[int], length_px: float) -> None:
        base = next(bend)
        for k, point in enumerate(points):
            xy[point] = start + (1 + k // 8) * length_px * along(base + 0.7 * k)

    neck_xy = np.array(neck)
    mid_hip = neck_xy + lengths_px["torso"] * along(0.2 * next(bend))
    xy[INDEX["nose"]] = neck_xy - lengths_px["neck"] * along(0.3 * next(bend))
    for side, sign, hand in (("left", 1, LEFT_HAND), ("right", -1, RIGHT_HAND)):
        for root, width, joints, limbs in (
            (neck_xy, "shoulders", ("shoulder", "elbow", "wrist"), ("upper_arms", "forearms")),
            (mid_hip, "hips", ("hip", "knee", "ankle"), ("thighs", "shins")),
        ):
            xy[INDEX[f"{side}_{joints[0]}"]] = root + np.array([sign * lengths_px[width] / 2, 0.0])
            for (parent, child), limb in zip(pairwise(joints), limbs, strict=True):
                xy[INDEX[f"{side}_{child}"]] = xy[INDEX[f"{side}_{parent}"]] + lengths_px[limb] * along(next(bend))
        fan(xy[INDEX[f"{side}_wrist"]], list(range(hand.start, hand.stop)), lengths_px["hands"])
        toes = [INDEX[f"{side}_{part}"] for part in ("big_toe", "small_toe", "heel")]
        fan(xy[INDEX[f"{side}_ankle"]], toes, lengths_px["feet"])
    head = [INDEX[f"{side}_{part}"] for part in ("eye", "ear") for side in ("left", "right")]
    fan(xy[INDEX["nose"]], [*head, *range(FACE.start, FACE.stop)], lengths_px["head"])
    return np.concatenate([xy, np.full((NUM_KEYPOINTS, 1), 0.9)], axis=1).astype(np.float32)


def dancing(lengths_px: dict[str, float], *, num_frames: int = 4, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.stack(
        [skeleton(lengths_px, rng.uniform(-1.5, 1.5, 20), tuple(rng.uniform(60, 110, 2))) for _ in range(num_frames)]
    )


# No limb is less than half as long as its neighbour, which would be foreshortened, and none is out of proportion.
proportions = st.fixed_dictionaries({name: st.floats(0.8, 1.35) for name in LENGTHS_PX}).map(
    lambda factors: {name: length * factors[name] for name, length in LENGTHS_PX.items()}
)


def limb_vectors(keypoints: NDArray[np.float32], group: str) -> NDArray[np.float64]:
    points, _ = with_centres(keypoints, 0.3)
    return np.concatenate([points[..., [b], :] - points[..., [a], :] for a, b in GROUPS[group]], axis=-2)
