import math
from dataclasses import replace

import pytest

from stages.outcome import Reason, Rejected, Status
from stages.prepare.select import SelectConfig, SelectStage, thresholds

GOOD = {
    "implausible_share": 0.1,
    "pose_confidence": 0.8,
    "person_share": 1.0,
    "keypoints_inside_mask": 0.97,
    "mask_area_jump": 0.1,
    "motion_magnitude": 0.4,
    "sharpness": 300.0,
    "identity_switches": 0,
    "shot_cuts": 0,
    "longest_absence_seconds": 0.25,
}


def test_good_clip_passes_unchanged():
    assert SelectStage(SelectConfig())(GOOD) == GOOD


@pytest.mark.parametrize(
    ("column", "value", "option", "reason"),
    [
        ("implausible_share", 0.6, "max_implausible_share", Reason.IMPLAUSIBLE_POSE),
        ("person_share", 0.2, "min_person_share", Reason.NO_PERSON),
        ("pose_confidence", 0.1, "min_pose_confidence", Reason.LOW_POSE_CONFIDENCE),
        ("keypoints_inside_mask", 0.3, "min_keypoints_inside_mask", Reason.KEYPOINTS_OUTSIDE_MASK),
        ("mask_area_jump", 1.0, "max_mask_area_jump", Reason.UNSTABLE_MASK),
        ("motion_magnitude", 0.0, "min_motion_magnitude", Reason.NO_MOTION),
        ("sharpness", 1.0, "min_sharpness", Reason.BLURRED),
        ("identity_switches", 9, "max_identity_switches", Reason.IDENTITY_SWITCH),
        ("shot_cuts", 1, "max_shot_cuts", Reason.SHOT_CUT),
        ("longest_absence_seconds", 2.5, "max_longest_absence_seconds", Reason.LONG_ABSENCE),
    ],
)
def test_each_threshold_rejects_with_its_reason_and_can_be_turned_off(column, value, option, reason):
    row = {**GOOD, column: value}
    config = SelectConfig(max_shot_cuts=0)
    with pytest.raises(Rejected) as caught:
        SelectStage(config)(row)
    assert caught.value.reason is reason
    assert caught.value.status is Status.REJECTED
    assert column in caught.value.message
    assert option in caught.value.message
    assert SelectStage(replace(config, **{option: None}))(row) == row


def test_a_value_on_the_threshold_passes():
    limits = SelectConfig(min_person_share=1.0, max_identity_switches=0, min_sharpness=300.0)
    assert SelectStage(limits)(GOOD) == GOOD


def test_thresholds_by_column():
    on = thresholds(SelectConfig(min_sharpness=None, max_identity_switches=3))
    assert on.keys() == GOOD.keys() - {"sharpness", "shot_cuts"}
    assert on["identity_switches"] == 3


def test_what_is_not_a_number_does_not_pass():
    with pytest.raises(Rejected, match="sharpness is nan"):
        SelectStage(SelectConfig())({**GOOD, "sharpness": math.nan})
