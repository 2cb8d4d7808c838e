"""Keypoints that the backend `people` finds in real videos and pictures, recorded in `tests/golden`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from golden import GOLDEN
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.proportions import GROUPS, NECK, with_centres, with_lengths
from models.pose.skeleton import INDEX, NUM_KEYPOINTS

Keypoints = NDArray[np.float32]
Size = tuple[int, int]

DRIVERS = ("wan_animate", "animatex_dance1", "xdyna_1")
"""A presenter at a desk in a landscape video, a drawn dancer who turns, a dancer from head to feet."""

PICTURES = ("animatex_3", "animatex_11", "animatex_13", "moore_2", "moore_5", "wan_animate", "xdyna_1")
WHOLE_BODIES = ("animatex_3", "moore_2", "moore_5", "xdyna_1")
"""Pictures of characters with feet, from the front."""

SCALE = np.array([4, 4, 1000], np.float32)
"""Recorded integers per pixel and unit of score."""


def driver(name: str) -> tuple[Keypoints, Size]:
    """Keypoints (T, 133, 3) of a video and its (height, width)."""
    return _recorded(f"driving.{name}")


def picture(name: str) -> tuple[Keypoints, Size]:
    """Keypoints (133, 3) of a picture and its (height, width)."""
    return _recorded(f"reference.{name}")


def with_proportions(keypoints: Keypoints, ratios: Mapping[str, float]) -> Keypoints:
    """Skeletons (T, 133, 3) whose groups of limbs have other lengths, in place at the neck."""
    points, visible = with_centres(keypoints, CONFIDENT_SCORE)
    moved = keypoints.copy()
    moved[..., :2] = with_lengths(points, visible, ratios, points, 1.0, root=NECK)[:, :NUM_KEYPOINTS]
    moved[~visible[:, :NUM_KEYPOINTS]] = 0
    return moved


CHILD = {"head": 0.9, "neck": 0.85, "torso": 0.65, "shoulders": 0.65, "hips": 0.65} | dict.fromkeys(
    ("upper_arms", "forearms", "hands", "thighs", "shins", "feet"), 0.5
)
"""Limbs of a child of four years over those of an adult."""


def length_px(keypoints: Keypoints, group: str) -> NDArray[np.float64]:
    """Mean length (T) of the limbs of a group that are visible in both ends; NaN where none is."""
    points, visible = with_centres(keypoints, CONFIDENT_SCORE)
    pairs = np.array(GROUPS[group])
    lengths = np.linalg.norm(points[:, pairs[:, 0]] - points[:, pairs[:, 1]], axis=-1)
    seen = visible[:, pairs].all(axis=-1)
    return np.where(seen, lengths, 0).sum(axis=1) / np.where(seen.any(axis=1), seen.sum(axis=1), np.nan)


def without(keypoints: Keypoints, *parts: str) -> Keypoints:
    """The skeletons without the points whose names contain one of the parts."""
    kept = keypoints.copy()
    kept[..., [index for name, index in INDEX.items() if any(part in name for part in parts)], :] = 0
    return kept


def _recorded(name: str) -> tuple[Keypoints, Size]:
    with np.load(GOLDEN / "people_keypoints" / "keypoints.npz") as stored:
        height, width = stored[f"{name}.size_px"].tolist()
        return stored[name].astype(np.float32) / SCALE, (height, width)
