from __future__ import annotations

import numpy as np
import pytest

from models.perception.sapiens.layout import FROM_308, disagreeing_pairs, to_wholebody
from models.pose.skeleton import FACE, INDEX, LEFT_HAND, RIGHT_HAND

PAIRS = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12], [13, 14], [15, 18], [16, 19], [17, 20], [41, 62]] + [
    [21 + i, 42 + i] for i in range(20)
]
"""The published mirror pairs of body, feet and hands (goliath.py)."""


def numbered(num: int) -> np.ndarray:
    return np.stack([np.arange(num), 1000 + np.arange(num), np.full(num, 0.7)], 1)[None].astype(np.float32)


def test_308_has_body_feet_and_hands_and_no_face() -> None:
    wholebody = to_wholebody(numbered(308))[0]
    assert wholebody[INDEX["nose"], 0] == 0
    assert wholebody[INDEX["right_wrist"], 0] == wholebody[INDEX["right_hand_wrist"], 0] == 41
    assert wholebody[INDEX["left_wrist"], 0] == 62
    assert wholebody[INDEX["left_hip"], 0] == 9
    assert wholebody[INDEX["right_heel"], 0] == 20
    assert wholebody[INDEX["right_thumb_4"], 0] == 21
    assert wholebody[INDEX["left_pinky_1"], 0] == 61
    assert (wholebody[FACE, 2] == 0).all()
    assert (np.delete(wholebody[:, 2], np.r_[FACE]) == np.float32(0.7)).all()
    assert len(set(FROM_308.values())) == len(FROM_308) - 2


def test_each_finger_runs_from_its_base_to_its_tip() -> None:
    wholebody = to_wholebody(numbered(308))[0]
    for hand in (LEFT_HAND, RIGHT_HAND):
        fingers = wholebody[hand, 0][1:].reshape(5, 4)
        assert (np.diff(fingers, axis=1) == -1).all()


def test_17_is_the_body_and_133_stays() -> None:
    assert to_wholebody(numbered(17))[0, :17, 0].tolist() == list(range(17))
    assert not to_wholebody(numbered(17))[0, 17:].any()
    assert np.array_equal(to_wholebody(numbered(133)), numbered(133))
    with pytest.raises(ValueError, match="got 26"):
        to_wholebody(numbered(26))


def test_the_published_mirror_pairs_match_this_table() -> None:
    assert disagreeing_pairs(PAIRS) == []
    assert disagreeing_pairs([pair for pair in PAIRS if pair != [41, 62]])[0] == ("left_wrist", "right_wrist")
