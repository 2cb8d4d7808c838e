import numpy as np
import pytest
from drawn_skeletons import LENGTHS_PX, dancing, limb_vectors, proportions, skeleton
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.pose.proportions import NECK, with_centres
from models.pose.retarget import Retargeted, retarget
from models.pose.skeleton import BODY, FEET, INDEX, NUM_KEYPOINTS

SIZES = {"driving_size_px": (240, 160), "reference_size_px": (480, 320)}


def assert_near(result: NDArray, expected: NDArray, *, px: float = 0.01) -> None:
    np.testing.assert_allclose(result, expected, rtol=0, atol=px)


@settings(max_examples=50)
@given(proportions, proportions, st.integers(0, 1000))
def test_limbs_take_the_references_lengths_and_keep_their_directions(
    driver: dict[str, float], character: dict[str, float], seed: int
) -> None:
    driving, reference = dancing(driver, seed=seed), dancing(character, num_frames=1, seed=seed + 1)[0]
    result = retarget(driving, reference, **SIZES)
    assert result.rule == "limbs"
    for group in ("shoulders", "hips", "torso", "neck", "upper_arms", "forearms", "thighs", "shins"):
        vectors, before = limb_vectors(result.keypoints, group), limb_vectors(driving, group)
        assert_near(np.linalg.norm(vectors, axis=-1), np.full(vectors.shape[:-1], character[group]))
        assert_near(vectors, before * character[group] / driver[group])
    for group in ("head", "hands", "feet"):
        assert_near(limb_vectors(result.keypoints, group), limb_vectors(driving, group) * result.ratios[group], px=0.02)


def test_equal_proportions_change_nothing() -> None:
    driving = dancing(LENGTHS_PX)
    result = retarget(driving, driving[2], **SIZES)
    assert (result.anchor_frame, result.rule) == (2, "limbs")
    assert_near(result.keypoints, driving)
    assert result.scale == pytest.approx(1)
    assert all(ratio == pytest.approx(1) for ratio in result.ratios.values())


def test_the_anchor_frame_is_at_the_references_position_and_motion_is_scaled() -> None:
    driving = np.stack([skeleton(LENGTHS_PX, np.zeros(20), (60 + 5 * t, 70)) for t in range(4)])
    big = {name: 2 * length for name, length in LENGTHS_PX.items()}
    result = retarget(driving, skeleton(big, np.zeros(20), (150, 160)), **SIZES)
    points, _ = with_centres(result.keypoints, 0.3)
    assert_near(points[:, NECK], np.array([[150 + 10 * t, 160] for t in range(4)]))


@settings(max_examples=30)
@given(st.floats(0.3, 3), st.floats(-100, 100), st.floats(-100, 100), st.integers(0, 100))
def test_the_result_has_the_references_size_and_position_not_the_drivings(
    zoom: float, dx: float, dy: float, seed: int
) -> None:
    def move(keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
        return (keypoints * np.float32([zoom, zoom, 1]) + np.float32([dx, dy, 0])).astype(np.float32)

    driving = dancing(LENGTHS_PX, seed=seed)
    reference = dancing({name: 1.3 * length for name, length in LENGTHS_PX.items()}, num_frames=1, seed=seed + 1)[0]
    # Wide enough that no motion starts implausibly far from the reference.
    sizes = {"driving_size_px": (480, 320), "reference_size_px": (1440, 960)}
    for rule in ("limbs", "uniform", "similarity"):
        plain = retarget(driving, reference, rule=rule, **sizes)
        assert_near(retarget(move(driving), reference, rule=rule, **sizes).keypoints, plain.keypoints, px=0.05)
        assert_near(retarget(driving, move(reference), rule=rule, **sizes).keypoints, move(plain.keypoints), px=0.05)


@settings(max_examples=50)
@given(st.lists(st.integers(0, NUM_KEYPOINTS - 1), max_size=60), st.lists(st.integers(0, 16), max_size=12))
def test_missing_driving_points_stay_missing_and_others_are_finite(
    driving_lacks: list[int], reference_lacks: list[int]
) -> None:
    driving, reference = dancing(LENGTHS_PX), dancing(LENGTHS_PX, num_frames=1, seed=9)[0]
    driving[1:, driving_lacks] = np.nan, np.nan, 0.1
    reference[reference_lacks] = -1, -1, 0
    result = retarget(driving, reference, **SIZES).keypoints
    missing = np.zeros((4, NUM_KEYPOINTS), bool)
    missing[1:, driving_lacks] = True
    assert not result[missing].any()
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[~missing][:, 2], driving[~missing][:, 2])


def test_a_missing_joint_does_not_move_the_limbs_before_it() -> None:
    driving, character = dancing(LENGTHS_PX), {name: 1.5 * length for name, length in LENGTHS_PX.items()}
    reference = dancing(character, num_frames=1, seed=3)[0]
    whole = retarget(driving, reference, **SIZES)
    driving[3, INDEX["left_elbow"], 2] = 0
    result = retarget(driving, reference, **SIZES)
    # The forearm hangs from the shoulder now, here at the same scale as before.
    kept = np.arange(NUM_KEYPOINTS) != INDEX["left_elbow"]
    assert_near(result.keypoints[3, kept], whole.keypoints[3, kept])
    driving[3, INDEX["left_shoulder"], 2] = 0
    no_neck = retarget(driving, reference, **SIZES).keypoints
    assert_near(no_neck[:3], whole.keypoints[:3])
    assert_near(no_neck[3, INDEX["left_wrist"]], whole.keypoints[3, INDEX["left_wrist"]])


def without(keypoints: NDArray[np.float32], *parts: str) -> NDArray[np.float32]:
    keypoints = keypoints.copy()
    for part in parts:
        for name, index in INDEX.items():
            if part in name:
                keypoints[..., index, :] = 0
    return keypoints


def test_missing_limbs_take_the_overall_scale() -> None:
    character = {name: 2 * length for name, length in LENGTHS_PX.items()} | {"neck": 100.0}
    reference = without(
        dancing(character, num_frames=1)[0], "elbow", "wrist", "hand", *("thumb", "index", "middle", "ring", "pinky")
    )
    reference = without(reference, "knee", "ankle", "toe", "heel")
    result = retarget(dancing(LENGTHS_PX), reference, **SIZES)
    assert result.rule == "limbs"
    assert set(result.ratios) == {"shoulders", "hips", "torso", "neck", "head"}
    assert result.scale == pytest.approx(
        sum(character[n] for n in list(LENGTHS_PX)[:4]) / (40 + 24 + 52 + 26), rel=1e-4
    )
    for group in ("upper_arms", "thighs", "shins"):
        vectors = limb_vectors(result.keypoints, group)
        assert_near(np.linalg.norm(vectors, axis=-1), np.full(vectors.shape[:-1], result.scale * LENGTHS_PX[group]))


SHOULDERS_AND_ARMS = ("shoulder", "elbow", "wrist", "hand")


@pytest.mark.parametrize(
    ("missing", "held", "anchor_frame"),
    [
        (SHOULDERS_AND_ARMS, ("left_hip", "right_hip"), 2),
        ((*SHOULDERS_AND_ARMS, "hip", "knee", "ankle", "toe", "heel"), (), 0),
    ],
)
def test_a_character_without_shoulders_has_another_root(
    missing: tuple[str, ...], held: tuple[str, ...], anchor_frame: int
) -> None:
    # Twice the size, on legs as long as before.
    character = {name: (1 if name in ("thighs", "shins") else 2) * length for name, length in LENGTHS_PX.items()}
    driving = dancing(LENGTHS_PX)
    pose = dancing(character)[anchor_frame]
    result = retarget(driving, without(pose, *missing), **SIZES)
    assert (result.rule, result.anchor_frame) == ("limbs", anchor_frame)
    at = [INDEX[name] for name in (*held, "nose", "left_eye", "right_ear")]
    assert_near(result.keypoints[anchor_frame, at], pose[at], px=0.05)
    if held:
        assert result.ratios["torso"] == result.ratios["neck"] == pytest.approx(2)
        for group in ("thighs", "shins"):
            assert_near(limb_vectors(result.keypoints, group), limb_vectors(driving, group))


def test_misdetected_arms_do_not_determine_the_anchor_frame() -> None:
    alike = dancing(LENGTHS_PX)[2]
    turn = np.radians(40)
    turned = alike.copy()
    turned[:, :2] = alike[:, :2] @ np.float32([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    reference = alike.copy()
    for side in ("left", "right"):
        shoulder, elbow, wrist = (INDEX[f"{side}_{joint}"] for joint in ("shoulder", "elbow", "wrist"))
        upper, fore = alike[elbow] - alike[shoulder], alike[wrist] - alike[elbow]
        for result, at in ((reference, alike), (turned, turned)):
            result[elbow, :2] = at[shoulder, :2] - upper[:2]
            result[wrist, :2] = result[elbow, :2] - fore[:2]
    assert retarget(np.stack([turned, alike]), reference, **SIZES).anchor_frame == 1


def test_a_misdetected_arm_does_not_lengthen_the_other() -> None:
    driving = dancing(LENGTHS_PX)
    reference = driving[2].copy()
    elbow, wrist = INDEX["left_elbow"], INDEX["left_wrist"]
    reference[wrist, :2] += 2 * (reference[wrist, :2] - reference[elbow, :2])
    result = retarget(driving, reference, **SIZES)
    assert result.anchor_frame == 2
    assert result.ratios["forearms"] == pytest.approx(result.scale)
    assert result.scale < 1.2


@pytest.mark.parametrize(
    ("group", "length_px", "substitute"),
    [
        ("forearms", 0.01, "upper_arms"),
        ("thighs", 12, "shins"),  # sitting, seen from the front
        ("hands", 0.01, "overall"),
        ("neck", 2, "overall"),
    ],
)
@pytest.mark.parametrize("in_reference", [False, True])
def test_a_foreshortened_limb_takes_the_scale_of_its_neighbour(
    group: str, length_px: float, substitute: str, in_reference: bool
) -> None:
    character = {name: 2 * length for name, length in LENGTHS_PX.items()}
    lengths = (LENGTHS_PX, {**character, group: 2 * length_px})
    if not in_reference:
        lengths = ({**LENGTHS_PX, group: length_px}, character)
    driving, reference = (dancing(each, num_frames=2) for each in lengths)
    result = retarget(driving, reference[0], **SIZES)
    assert result.rule == "limbs"
    assert result.ratios[group] == pytest.approx(2)
    assert result.scale == pytest.approx(2)
    assert f"retarget_limbs={group} as {substitute}" in result.fallbacks


def test_coarser_rules_apply_for_incomplete_references() -> None:
    driving, reference = dancing(LENGTHS_PX), dancing(LENGTHS_PX, num_frames=1, seed=5)[0]
    only_hands = without(reference, *(name for name in INDEX if "hand" not in name))
    nothing = np.zeros_like(reference)
    box = (10.0, 20.0, 110.0, 400.0)
    used = [
        retarget(driving, reference, **SIZES).rule,
        retarget(driving, only_hands, **SIZES).rule,
        retarget(driving, nothing, reference_box=box, **SIZES).rule,
        retarget(driving, nothing, **SIZES).rule,
        retarget(driving, reference, rule="none", **SIZES).rule,
    ]
    assert used == ["limbs", "similarity", "box", "frame", "none"]


def bounds(keypoints: NDArray[np.float32]) -> list[float]:
    return [*keypoints[:, :2].min(axis=0), *keypoints[:, :2].max(axis=0)]


def test_similarity_fits_the_box_of_the_common_points() -> None:
    driving = dancing(LENGTHS_PX)
    reference = driving[0] * np.float32([1.5, 1.5, 1]) + np.float32([7, -3, 0])
    reference[FEET] = 0
    driving[1:, BODY] = 0
    result = retarget(driving, reference, rule="similarity", **SIZES)
    assert (result.rule, result.anchor_frame) == ("similarity", 0)
    assert result.scale == pytest.approx(1.5)
    common = np.arange(NUM_KEYPOINTS)[reference[:, 2] > 0]
    assert_near(result.keypoints[0, common], reference[common])


def test_a_box_contains_the_whole_skeleton_on_its_lower_edge() -> None:
    result = retarget(
        dancing(LENGTHS_PX), np.zeros((NUM_KEYPOINTS, 3), np.float32), reference_box=(10, 20, 300, 60), **SIZES
    )
    x0, y0, x1, y1 = bounds(result.keypoints[result.anchor_frame])
    assert (y0, y1) == (pytest.approx(20, abs=0.01), pytest.approx(60, abs=0.01))
    assert (x0 + x1) / 2 == pytest.approx(155, abs=0.01)


def test_without_a_reference_the_driving_frame_is_fitted_into_the_reference_frame() -> None:
    corners = np.zeros((1, NUM_KEYPOINTS, 3), np.float32)
    corners[0, :2] = [[-0.5, -0.5, 1], [159.5, 239.5, 1]]
    result = retarget(
        corners, np.zeros((NUM_KEYPOINTS, 3), np.float32), driving_size_px=(240, 160), reference_size_px=(100, 200)
    )
    width = 160 * 100 / 240
    assert_near(result.keypoints[0, :2, :2], [[100 - width / 2 - 0.5, -0.5], [100 + width / 2 - 0.5, 99.5]])


def test_a_clip_without_keypoints_stays_empty() -> None:
    result: Retargeted = retarget(
        np.zeros((3, NUM_KEYPOINTS, 3), np.float32), dancing(LENGTHS_PX, num_frames=1)[0], **SIZES
    )
    assert result.rule == "frame"
    assert not result.keypoints.any()


def test_refuses_other_shapes_and_empty_boxes() -> None:
    one = dancing(LENGTHS_PX, num_frames=1)
    with pytest.raises(ValueError, match=r"\(T, 133, 3\) with T >= 1, got \(0, 133, 3\)"):
        retarget(one[:0], one[0], **SIZES)
    with pytest.raises(ValueError, match=r"reference keypoints must be \(133, 3\), got \(1, 133, 3\)"):
        retarget(one, one, **SIZES)
    with pytest.raises(ValueError, match="x0 < x1"):
        retarget(one, one[0], reference_box=(5, 0, 5, 9), **SIZES)
    one[0, 3, 0] = np.inf
    with pytest.raises(ValueError, match="finite"):
        retarget(one, dancing(LENGTHS_PX)[0], **SIZES)
