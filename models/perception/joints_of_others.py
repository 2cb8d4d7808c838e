"""Joints of a person that are another person's: a limb that reaches to where the other's joint is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.limb_lengths import skeleton_unit_px
from models.pose.skeleton import FEET, INDEX, LEFT_HAND, LIMBS, NUM_KEYPOINTS, RIGHT_HAND

MAX_APART = 0.2
"""Two joints that are nearer are one: in units of the skeleton, some 5 cm."""
MIN_LONGER = 1.25
"""The joint is the other's if the limb to it is this much longer than the other's limb, each in units of its skeleton.
Persons who touch each other reach no farther than their limbs.
"""

_SIDES = ("left", "right")
_HANDS = {"left": LEFT_HAND, "right": RIGHT_HAND}
_TOES = {"left": slice(FEET.start, FEET.start + 3), "right": slice(FEET.start + 3, FEET.stop)}


def _ends(*limbs: str) -> NDArray[np.int64]:
    return np.array([LIMBS[f"{side}_{limb}"] for limb in limbs for side in _SIDES])


_LIMBS = _ends("upper_arm", "forearm", "thigh", "shin")
"""(8, 2) the joint that a limb starts from, and the one it ends at; left and right in turn."""
_LOSES = np.zeros((len(_LIMBS), NUM_KEYPOINTS), bool)
_LOSES[np.arange(len(_LIMBS)), _LIMBS[:, 1]] = True
for _row, _side in enumerate(_SIDES):
    _LOSES[[_row, _row + 2], _HANDS[_side]] = True
    _LOSES[_row, INDEX[f"{_side}_wrist"]] = True
    _LOSES[[_row + 4, _row + 6], _TOES[_side]] = True
    _LOSES[_row + 4, INDEX[f"{_side}_ankle"]] = True


def joints_of_others(keypoints_K3: NDArray[np.float32], others_NK3: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Points (133,) of a person that are joints of others in the same frame, and those beyond them.

    A network that poses persons one by one may continue a limb along a neighbour's. Joints are compared with those of
    both sides.
    """
    lost = np.zeros(NUM_KEYPOINTS, bool)
    own_unit_px = _unit_px(keypoints_K3)
    if not own_unit_px > 0:  # too few limbs, or all points at one place
        return lost
    own_lengths = _lengths(keypoints_K3) / own_unit_px
    for other in others_NK3:
        unit_px = _unit_px(other)
        if not unit_px > 0:
            continue
        lengths = _lengths(other) / unit_px
        for kind in range(0, len(_LIMBS), 2):
            pair = slice(kind, kind + 2)
            ends, others = (_confident(points)[_LIMBS[pair, 1]] for points in (keypoints_K3, other))
            apart = np.linalg.norm(ends[:, None] - others[None], axis=2) / own_unit_px
            longer = own_lengths[pair, None] > MIN_LONGER * lengths[None, pair]
            lost |= (((apart < MAX_APART) & longer).any(axis=1)[:, None] & _LOSES[pair]).any(axis=0)
    return lost


def _unit_px(keypoints_K3: NDArray[np.float32]) -> float:
    return float(skeleton_unit_px(keypoints_K3[None], np.zeros(1))[0])


def _confident(keypoints_K3: NDArray[np.float32]) -> NDArray[np.float64]:
    """Coordinates (133, 2), NaN where a point is not confident."""
    return np.where(keypoints_K3[:, 2:] >= CONFIDENT_SCORE, keypoints_K3[:, :2].astype(np.float64), np.nan)


def _lengths(keypoints_K3: NDArray[np.float32]) -> NDArray[np.float64]:
    points = _confident(keypoints_K3)
    lengths: NDArray[np.float64] = np.linalg.norm(points[_LIMBS[:, 0]] - points[_LIMBS[:, 1]], axis=1)
    return lengths
