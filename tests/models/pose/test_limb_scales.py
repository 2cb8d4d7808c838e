"""Scales between skeletons that the backend `people` finds in real videos and pictures."""

import numpy as np
import people_keypoints as people
import pytest

from models.pose.extent import CONFIDENT_SCORE
from models.pose.limb_scales import SIDE_VIEW_SHARE, LimbScales, measure_limbs
from models.pose.proportions import with_centres

TURNED_FRAME = 6
"""Frame of `animatex_dance1` in which the dancer is seen from the side."""


def measured(driving: people.Keypoints, reference: people.Keypoints) -> LimbScales:
    scales = measure_limbs(*with_centres(driving, CONFIDENT_SCORE), *with_centres(reference, CONFIDENT_SCORE))
    assert scales is not None
    return scales


def side_view() -> people.Keypoints:
    keypoints, _ = people.driver("animatex_dance1")
    turned = keypoints[TURNED_FRAME : TURNED_FRAME + 1]
    assert people.length_px(turned, "shoulders") < SIDE_VIEW_SHARE * people.length_px(turned, "torso")
    return turned


@pytest.mark.parametrize("name", people.WHOLE_BODIES)
def test_widths_of_a_side_view_are_not_those_of_a_front_view(name: str) -> None:
    front, _ = people.picture(name)
    turned = side_view()
    for driving, reference in ((turned, front), (front[None], turned[0])):
        scales = measured(driving, reference)
        widths = {"shoulders", "hips", "head"}
        assert {group for group, other in scales.substitutes.items() if other == "overall"} == widths
        assert {scales.ratios[group] for group in widths} == {scales.scale}
        # The scale is that of what both views show.
        assert scales.scale == pytest.approx(scales.ratios["torso"], rel=0.35)


@pytest.mark.parametrize("name", people.DRIVERS)
def test_a_front_view_that_the_network_took_for_a_side_view(name: str) -> None:
    scales = measured(people.driver(name)[0], people.picture("animatex_11")[0])
    assert {"shoulders", "hips"} <= scales.substitutes.keys()
    assert scales.comparable
    # Before, shoulders and hips shrank to a third and the torso stretched to 1.5 of the overall scale.
    assert max(abs(np.log(ratio / scales.scale)) for ratio in scales.ratios.values()) < np.log(1.15)


def seated(keypoints: people.Keypoints) -> people.Keypoints:
    """Standing skeletons, seated and seen from the front."""
    return people.with_proportions(keypoints, {"thighs": 0.3})


@pytest.mark.parametrize("name", people.WHOLE_BODIES)
@pytest.mark.parametrize("seat", ["driver", "picture"])
def test_foreshortened_thighs_of_somebody_seated_have_the_scale_of_the_shins(name: str, seat: str) -> None:
    driving, reference = people.driver("xdyna_1")[0], people.picture(name)[0]
    standing = measured(driving, reference)
    if seat == "driver":
        driving = seated(driving)
    else:
        reference = seated(reference[None])[0]
    scales = measured(driving, reference)
    assert scales.substitutes["thighs"] == "shins"
    assert scales.ratios["thighs"] == scales.ratios["shins"]
    assert scales.scale == pytest.approx(standing.scale, rel=0.15)


@pytest.mark.parametrize("name", people.WHOLE_BODIES)
def test_a_hidden_arm_has_the_scale_of_the_other(name: str) -> None:
    driving, reference = people.driver("xdyna_1")[0], people.picture(name)[0]
    one_arm = people.without(reference, "left_elbow", "left_wrist", "left_hand")
    whole, hidden = measured(driving, reference), measured(driving, one_arm)
    assert hidden.ratios["upper_arms"] == pytest.approx(whole.ratios["upper_arms"], rel=0.25)
    assert hidden.scale == pytest.approx(whole.scale, rel=0.1)
    assert hidden.comparable


@pytest.mark.parametrize("towards_child", [True, False])
def test_a_child_and_an_adult_keep_their_own_proportions(towards_child: bool) -> None:
    adults, _ = people.driver("xdyna_1")
    children = people.with_proportions(adults, people.CHILD)
    driving, reference = (adults, children[5]) if towards_child else (children, adults[5])
    scales = measured(driving, reference)
    assert scales.substitutes == {}
    for group, ratio in people.CHILD.items():
        expected = ratio if towards_child else 1 / ratio
        assert scales.ratios[group] == pytest.approx(expected, rel=0.1), group


def test_skeletons_out_of_all_proportion_are_not_comparable() -> None:
    keypoints, _ = people.driver("xdyna_1")
    torn = dict(zip(("shoulders", "hips", "torso", "neck", "thighs", "shins"), (0.1, 10, 0.1, 10, 0.1, 9), strict=True))
    scales = measured(people.with_proportions(keypoints, torn), keypoints[5])
    assert not scales.comparable
    assert measured(keypoints, keypoints[5]).comparable
