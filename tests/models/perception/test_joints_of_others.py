from __future__ import annotations

import numpy as np
import pytest
from drawn_skeletons import LENGTHS_PX, skeleton

from models.perception.joints_of_others import joints_of_others
from models.pose.skeleton import INDEX, LEFT_HAND, NUM_KEYPOINTS

OWN = skeleton(LENGTHS_PX, np.full(20, 0.2), (90, 70))
OTHER = skeleton({name: 1.5 * length for name, length in LENGTHS_PX.items()}, np.full(20, 0.2), (135, 60))
LEFT_ARM = [INDEX["left_wrist"], *range(LEFT_HAND.start, LEFT_HAND.stop)]


def test_persons_beside_each_other_keep_their_joints() -> None:
    assert not joints_of_others(OWN, np.stack([OTHER, OTHER + np.float32([300, 0, 0])])).any()
    assert not joints_of_others(OWN, np.empty((0, NUM_KEYPOINTS, 3), np.float32)).any()
    # One person, found twice.
    assert not joints_of_others(OWN, np.stack([OWN, OWN + np.float32([2, 1, 0])])).any()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_forearm_that_reaches_to_anothers_wrist_is_lost(side: str) -> None:
    reaching = OWN.copy()
    reaching[INDEX["left_wrist"], :2] = OTHER[INDEX[f"{side}_wrist"], :2] + 2
    lost = joints_of_others(reaching, OTHER[None])
    assert np.flatnonzero(lost).tolist() == LEFT_ARM
    # The other's forearm has its own length: the wrist is the other's.
    assert not joints_of_others(OTHER, reaching[None]).any()


def test_an_elbow_and_what_is_beyond_it_are_lost() -> None:
    reaching = OWN.copy()
    reaching[INDEX["right_elbow"], :2] = OTHER[INDEX["right_elbow"], :2]
    lost = np.flatnonzero(joints_of_others(reaching, OTHER[None])).tolist()
    assert lost[:2] == [INDEX["right_elbow"], INDEX["right_wrist"]]
    assert len(lost) == 2 + 21


def test_hands_that_touch_stay() -> None:
    touching = OWN.copy()
    move = OTHER[INDEX["left_wrist"], :2] - touching[INDEX["left_wrist"], :2]
    touching[:, :2] += move
    assert not joints_of_others(touching, OTHER[None]).any()


def test_joints_that_are_not_confident_are_not_compared() -> None:
    reaching, faint = OWN.copy(), OTHER.copy()
    reaching[INDEX["left_wrist"], :2] = OTHER[INDEX["left_wrist"], :2]
    faint[:, 2] = 0.1
    assert not joints_of_others(reaching, faint[None]).any()
