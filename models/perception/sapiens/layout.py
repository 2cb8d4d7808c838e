"""Conversion of the published Sapiens keypoint layouts to the 133 keypoints of COCO-WholeBody.

17: COCO's body, the first 17 of the 133. 133: COCO-WholeBody itself. 308 ("goliath", Sapiens and Sapiens 2): mapped by
the publisher's names (facebookresearch/sapiens, `goliath.py`) for body, feet and the outer three joints of each finger.
The base of a finger is called its third joint there; it is identified with COCO-WholeBody's first joint because both
have the same evaluation tolerance. The root of a hand is its wrist. The publisher provides no mapping of the 238 face
points to the 68, so the face scores 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import INDEX, KEYPOINT_NAMES, NUM_KEYPOINTS

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
WRIST_308: Mapping[str, int] = MappingProxyType({"right": 41, "left": 62})
FIRST_FINGERTIP_308: Mapping[str, int] = MappingProxyType({"right": 21, "left": 42})
"""Index of the first fingertip; each finger follows from its tip (4) to its base (1), thumb first."""


def _from_308() -> dict[str, int]:
    """Keypoint name -> index among the 308."""
    names = {name: index for index, name in enumerate(KEYPOINT_NAMES[:9])}
    joints = [f"{side}_{part}" for part in ("hip", "knee", "ankle") for side in ("left", "right")]
    toes = [f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel")]
    names |= {name: 9 + offset for offset, name in enumerate((*joints, *toes))}
    for side, wrist in WRIST_308.items():
        names[f"{side}_wrist"] = names[f"{side}_hand_wrist"] = wrist
        tips = [f"{side}_{finger}_{joint}" for finger in FINGERS for joint in (4, 3, 2, 1)]
        names |= {name: FIRST_FINGERTIP_308[side] + offset for offset, name in enumerate(tips)}
    return names


FROM_308: Mapping[str, int] = MappingProxyType(_from_308())
_TARGETS = np.array([INDEX[name] for name in FROM_308])
_SOURCES = np.array(list(FROM_308.values()))
NUM_PUBLISHED = (17, 133, 308)


def to_wholebody(keypoints_TK3: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert keypoints of a published layout to (T, 133, 3); keypoints missing in the layout score 0.

    Raises:
        ValueError: K is not 17, 133 or 308.
    """
    num = keypoints_TK3.shape[1]
    if num not in NUM_PUBLISHED:
        raise ValueError(f"expected one of {NUM_PUBLISHED} keypoints, got {num}")
    if num == NUM_KEYPOINTS:
        return keypoints_TK3
    wholebody = np.zeros((len(keypoints_TK3), NUM_KEYPOINTS, 3), np.float32)
    if num < NUM_KEYPOINTS:
        wholebody[:, :num] = keypoints_TK3
    else:
        wholebody[:, _TARGETS] = keypoints_TK3[:, _SOURCES]
    return wholebody


def disagreeing_pairs(flip_pairs: Sequence[Sequence[int]]) -> list[tuple[str, str]]:
    """Pairs of left and right keypoints that are not mirror pairs in a 308-keypoint model.

    `flip_pairs`: mirror pairs published with the model. Empty if the model has the keypoint order assumed here.
    """
    listed = {frozenset(int(index) for index in pair) for pair in flip_pairs}
    pairs = [(name, name.replace("left_", "right_")) for name in FROM_308 if name.startswith("left_")]
    return [pair for pair in pairs if frozenset(FROM_308[name] for name in pair) not in listed]
