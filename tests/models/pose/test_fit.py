"""How the motions of real videos fit pictures, with the keypoints that the backend `people` finds in both."""

import numpy as np
import people_keypoints as people
import pytest
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.fit import Fit, measure_fit
from models.pose.proportions import MID_HIP, with_centres
from models.pose.retarget import Retargeted, Rule, retarget
from models.pose.skeleton import INDEX

PAIRS = [(driver, picture) for driver in people.DRIVERS for picture in people.PICTURES]
ON_FEET = [(driver, picture) for driver in people.DRIVERS[1:] for picture in people.WHOLE_BODIES]
ARMS = ("shoulder", "elbow", "wrist")


def fitted(
    driver: str,
    picture: str,
    *,
    driving: people.Keypoints | None = None,
    reference: people.Keypoints | None = None,
    rule: Rule = "limbs",
) -> tuple[Retargeted, Fit]:
    (recorded, driving_size_px), (shown, size_px) = people.driver(driver), people.picture(picture)
    driving = recorded if driving is None else driving
    reference = shown if reference is None else reference
    result = retarget(driving, reference, driving_size_px=driving_size_px, reference_size_px=size_px, rule=rule)
    return result, measure_fit(result.keypoints, driving, reference, size_px=size_px)


@pytest.mark.parametrize(("driver", "picture"), PAIRS)
def test_a_motion_starts_at_the_character_and_stays_in_the_picture(driver: str, picture: str) -> None:
    result, fit = fitted(driver, picture)
    height, width = people.picture(picture)[1]
    assert result.rule == "limbs"
    assert fit.start_offset_px is not None
    assert fit.start_offset_px < 0.12 * width
    points, visible = with_centres(result.keypoints, CONFIDENT_SCORE)
    hips = points[visible[:, MID_HIP], MID_HIP].mean(axis=0)
    assert 0.25 * width < hips[0] < 0.75 * width
    # The hips of the portrait of wan_animate are below its edge.
    assert 0 < hips[1] < (1.2 if picture == "wan_animate" else 1) * height


@pytest.mark.parametrize(("driver", "picture"), ON_FEET)
def test_feet_stand_on_the_ground_of_the_picture_and_do_not_slide(driver: str, picture: str) -> None:
    result, fit = fitted(driver, picture)
    height = people.picture(picture)[1][0]
    assert fit.ground_gap_px == pytest.approx(0, abs=0.015 * height)
    driving, _ = people.driver(driver)
    steps, result_steps = ankle_steps(driving), ankle_steps(result.keypoints)
    planted = steps < 0.006
    assert planted.sum() > 5
    # Noise of the keypoints remains; before, it grew by up to 1.36.
    assert result_steps[planted].mean() < 1.12 * steps[planted].mean()


def ankle_steps(keypoints: people.Keypoints) -> NDArray[np.float64]:
    """Movement of each ankle from frame to frame, over the height of the body."""
    ankles = [INDEX["left_ankle"], INDEX["right_ankle"]]
    heights = keypoints[:, :17, 1][keypoints[:, :17, 2] >= CONFIDENT_SCORE]
    return np.linalg.norm(np.diff(keypoints[:, ankles, :2], axis=0), axis=-1) / np.ptp(heights)


@pytest.mark.parametrize(("driver", "picture"), PAIRS)
def test_both_arms_are_scaled_alike_and_do_not_cross_over(driver: str, picture: str) -> None:
    result, _ = fitted(driver, picture)
    driving, _ = people.driver(driver)
    both = (driving[:, [INDEX[f"{side}_{joint}"] for side in ("left", "right") for joint in ARMS], 2] >= 0.3).all(
        axis=1
    )
    assert both.any()
    np.testing.assert_allclose(arm_lengths_ratio(result.keypoints[both]), arm_lengths_ratio(driving[both]), rtol=0.2)
    crossing, driving_crossing = (elbows_across(keypoints).mean() for keypoints in (result.keypoints, driving))
    assert crossing == driving_crossing


def arm_lengths_ratio(keypoints: people.Keypoints) -> NDArray[np.float64]:
    left, right = (
        sum(
            np.linalg.norm(
                keypoints[:, INDEX[f"{side}_{end}"], :2] - keypoints[:, INDEX[f"{side}_{start}"], :2], axis=-1
            )
            for start, end in (ARMS[:2], ARMS[1:])
        )
        for side in ("left", "right")
    )
    return np.asarray(left / right)


def elbows_across(keypoints: people.Keypoints) -> NDArray[np.bool_]:
    """Frames in which an elbow is beyond the shoulder of the other side."""
    left, right = (keypoints[:, [INDEX[f"{side}_shoulder"], INDEX[f"{side}_elbow"]]] for side in ("left", "right"))
    return ((left[:, 1, 0] < right[:, 0, 0]) & (left[:, 1, 2] >= 0.3)) | (
        (right[:, 1, 0] > left[:, 0, 0]) & (right[:, 1, 2] >= 0.3)
    )


@pytest.mark.parametrize(("driver", "picture"), [pair for pair in PAIRS if pair[1] != "animatex_11"])
def test_shoulders_are_as_wide_over_the_head_as_in_the_picture(driver: str, picture: str) -> None:
    result, _ = fitted(driver, picture)
    reference = people.picture(picture)[0][None]
    shown, drawn = (
        np.nanmedian(people.length_px(k, "shoulders") / people.length_px(k, "head"))
        for k in (reference, result.keypoints)
    )
    assert 0.6 < drawn / shown < 1.2


@pytest.mark.parametrize("picture", people.WHOLE_BODIES)
def test_an_upper_body_moves_the_upper_body_of_a_whole_one(picture: str) -> None:
    result, fit = fitted("wan_animate", picture)
    assert not result.keypoints[:, [INDEX["left_ankle"], INDEX["right_ankle"]]].any()
    assert (fit.outside_share, fit.max_outside_px, fit.ground_gap_px) == (0, 0, None)
    assert fit.plausibility is not None
    assert fit.plausibility > 0.7


@pytest.mark.parametrize("driver", people.DRIVERS[1:])
def test_legs_that_a_portrait_does_not_show_are_counted_as_outside(driver: str) -> None:
    _, fit = fitted(driver, "wan_animate")
    height = people.picture("wan_animate")[1][0]
    assert 0.4 < fit.outside_share < 0.6
    assert height < fit.max_outside_px < 2 * height


@pytest.mark.parametrize(("driver", "picture"), ON_FEET)
def test_the_score_falls_with_what_is_wrong(driver: str, picture: str) -> None:
    result, fit = fitted(driver, picture)
    driving, (reference, size_px) = people.driver(driver)[0], people.picture(picture)
    assert fit.plausibility is not None
    assert fit.plausibility > 0.7
    height, width = size_px
    broken = {
        "afloat": result.keypoints - np.float32([0, 0.2 * height, 0]),
        "aside": result.keypoints + np.float32([0.3 * width, 0, 0]),
        "too large": result.keypoints * np.float32([1.5, 1.5, 1]),
        "huge shoulders": people.with_proportions(result.keypoints, {"shoulders": 3.0}),
        "dwarfed legs": people.with_proportions(result.keypoints, {"thighs": 0.3, "shins": 0.3}),
    }
    for name, keypoints in broken.items():
        score = measure_fit(keypoints, driving, reference, size_px=size_px).plausibility
        assert score is not None
        assert score < 0.9 * fit.plausibility, name


def test_a_motion_that_starts_far_away_starts_at_the_character() -> None:
    driving, (_, size_px) = people.driver("xdyna_1")[0].copy(), people.picture("moore_5")
    visible = driving[..., 2:] > 0
    walk = np.linspace(-1.2, 0, len(driving), dtype=np.float32)[:, None] * 400
    driving[..., 0] = np.where(visible[..., 0], driving[..., 0] + walk, 0)
    result, fit = fitted("xdyna_1", "moore_5", driving=driving)
    assert "retarget_start=first frame" in result.fallbacks or "retarget_start=median frame" in result.fallbacks
    hips = with_centres(result.keypoints, CONFIDENT_SCORE)[0][:, MID_HIP, 0]
    assert 0 < np.median(hips) < size_px[1]
    assert fit.plausibility is not None


@pytest.mark.parametrize("picture", people.WHOLE_BODIES)
def test_a_jump_in_the_anchor_frame_does_not_sink_the_others(picture: str) -> None:
    driving, height = people.driver("xdyna_1")[0].copy(), people.picture(picture)[1][0]
    anchor = fitted("xdyna_1", picture)[0].anchor_frame
    assert anchor is not None
    driving[anchor, driving[anchor, :, 2] > 0, 1] -= 200
    result, fit = fitted("xdyna_1", picture, driving=driving)
    assert "retarget_ground=median frame" in result.fallbacks
    assert fit.ground_gap_px == pytest.approx(0, abs=0.005 * height)


def test_somebody_seated_has_the_feet_on_the_ground_of_who_stands() -> None:
    driving = people.with_proportions(people.driver("xdyna_1")[0], {"thighs": 0.3})
    for picture in people.WHOLE_BODIES:
        result, fit = fitted("xdyna_1", picture, driving=driving)
        assert "retarget_limbs=thighs as shins" in result.fallbacks
        assert fit.ground_gap_px == pytest.approx(0, abs=0.015 * people.picture(picture)[1][0])


def test_proportions_that_cannot_be_compared_leave_the_driving_ones() -> None:
    torn = {"shoulders": 0.1, "hips": 10.0, "torso": 0.1, "neck": 10.0, "thighs": 0.1, "shins": 9.0}
    keypoints, size_px = people.driver("xdyna_1")
    reference = people.with_proportions(keypoints[5:6], torn)[0]
    result = retarget(keypoints, reference, driving_size_px=size_px, reference_size_px=size_px)
    assert result.rule == "uniform"
    assert result.fallbacks[0].startswith("retarget_rule=uniform: ")
    assert "groups of limbs are out of proportion" in result.fallbacks[0]
    for group in ("shoulders", "thighs", "head"):
        drawn, driven = people.length_px(result.keypoints, group), people.length_px(keypoints, group)
        np.testing.assert_allclose(drawn, driven * result.scale, rtol=0.01)


def test_a_scale_beyond_all_pictures_is_not_used() -> None:
    keypoints, size_px = people.driver("xdyna_1")
    tiny = keypoints[5] * np.float32([0.01, 0.01, 1])
    result = retarget(keypoints, tiny, driving_size_px=size_px, reference_size_px=size_px)
    assert result.rule == "frame"
    assert result.fallbacks == ("retarget_rule=frame: 0.01 pixels of the picture for one of the driving frame",)


def test_nothing_is_measured_without_a_skeleton_in_the_picture() -> None:
    result, fit = fitted("xdyna_1", "moore_5", reference=np.zeros((133, 3), np.float32))
    assert result.rule == "frame"
    assert result.fallbacks == ("retarget_rule=frame: no limbs in common",)
    assert (fit.plausibility, fit.start_offset_px, fit.ground_gap_px) == (None, None, None)
