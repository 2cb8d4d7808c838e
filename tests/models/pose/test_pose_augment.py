from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drawn_skeletons import LENGTHS_PX, dancing, limb_vectors, proportions
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.pose.pose_augment import (
    OPERATIONS,
    PARTS,
    UNCHANGED,
    ExplicitIndicatorConfig,
    PoseChange,
    apply_change,
    realigned,
    rescaled,
    sample_change,
    with_parts,
    without_parts,
)
from models.pose.proportions import BODY_GROUPS, GROUPS, NECK, with_centres
from models.pose.skeleton import INDEX, NUM_KEYPOINTS

missing = st.lists(st.integers(0, NUM_KEYPOINTS - 1), max_size=40)
factors = st.dictionaries(st.sampled_from(sorted(OPERATIONS)), st.floats(0.4, 2.5))


def lengths(keypoints: NDArray[np.float32], group: str) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.linalg.norm(limb_vectors(keypoints, group), axis=-1)
    return result


def neck(keypoints: NDArray[np.float32]) -> NDArray[np.float64]:
    return with_centres(keypoints, 0.3)[0][..., NECK, :]


def assert_directions_stay(result: NDArray[np.float32], before: NDArray[np.float32]) -> None:
    for group in GROUPS:
        one, other = limb_vectors(result, group), limb_vectors(before, group)
        sizes = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
        np.testing.assert_allclose((one * other).sum(-1), sizes, rtol=1e-3)


@settings(max_examples=50, deadline=None)
@given(proportions, proportions, st.integers(0, 1000))
def test_realigned_skeletons_have_the_anchors_lengths_and_their_own_angles_and_position(
    driver: dict[str, float], character: dict[str, float], seed: int
) -> None:
    driving, anchor = dancing(driver, seed=seed), dancing(character, num_frames=1, seed=seed + 1)[0]
    result = realigned(driving, anchor)
    for group in BODY_GROUPS:
        np.testing.assert_allclose(lengths(result, group), character[group], atol=0.01)
    assert_directions_stay(result, driving)
    np.testing.assert_allclose(neck(result), neck(driving), atol=0.01)


@settings(max_examples=50, deadline=None)
@given(factors, st.integers(0, 1000))
def test_rescaled_limbs_have_the_requested_lengths_and_others_stay(
    factors_by_operation: dict[str, float], seed: int
) -> None:
    clip = dancing(LENGTHS_PX, seed=seed)
    result = apply_change(clip, PoseChange(factors=factors_by_operation), None)
    ratio = {group: factor for name, factor in factors_by_operation.items() for group in OPERATIONS[name]}
    for group in GROUPS:
        expected = lengths(clip, group) * ratio.get(group, 1.0)
        np.testing.assert_allclose(lengths(result, group), expected, atol=0.02)
    assert_directions_stay(result, clip)
    np.testing.assert_allclose(neck(result), neck(clip), atol=0.01)


@settings(max_examples=50, deadline=None)
@given(missing, missing, factors, st.booleans(), st.integers(0, 100))
def test_scores_are_unchanged_and_points_finite(
    of_clip: list[int], of_anchor: list[int], factors_by_operation: dict[str, float], realign: bool, seed: int
) -> None:
    clip, anchor = dancing(LENGTHS_PX, seed=seed), dancing(LENGTHS_PX, num_frames=1, seed=seed + 1)[0]
    clip[:2, of_clip] = (np.nan, np.nan, 0.0)
    anchor[of_anchor, 2] = 0.0
    before = clip.copy()
    result = apply_change(clip, PoseChange(anchor=0, realign=realign, factors=factors_by_operation), anchor)
    np.testing.assert_array_equal(result[..., 2], clip[..., 2])
    assert np.isfinite(result[result[..., 2] > 0]).all()
    np.testing.assert_array_equal(clip, before)  # what was given is left alone


@settings(max_examples=50, deadline=None)
@given(factors, st.integers(0, 100))
def test_a_change_is_its_realignment_then_its_rescaling(factors_by_operation: dict[str, float], seed: int) -> None:
    clip = dancing(LENGTHS_PX, seed=seed)
    anchor = dancing({name: 1.2 * length for name, length in LENGTHS_PX.items()}, num_frames=1, seed=seed + 1)[0]
    together = apply_change(clip, PoseChange(anchor=0, realign=True, factors=factors_by_operation), anchor)
    apart = apply_change(realigned(clip, anchor), PoseChange(factors=factors_by_operation), None)
    np.testing.assert_allclose(together, apart, atol=0.02)


@pytest.mark.parametrize("part", sorted(PARTS))
def test_dropping_and_adding_a_part_changes_nothing_else(part: str) -> None:
    clip, anchor = dancing(LENGTHS_PX), dancing(LENGTHS_PX, num_frames=1, seed=7)[0]
    nodes, roots = (list(points) for points in PARTS[part])
    others = np.setdiff1d(np.arange(NUM_KEYPOINTS), nodes)
    gone = without_parts(clip, [part])
    assert not gone[:, nodes, 2].any()
    np.testing.assert_array_equal(gone[:, others], clip[:, others])
    came = with_parts(gone, anchor, [part], scale=0.5)
    np.testing.assert_array_equal(came[:, others], clip[:, others])
    np.testing.assert_array_equal(came[:, nodes, 2], np.broadcast_to(anchor[nodes, 2], (len(clip), len(nodes))))
    offsets = came[:, nodes, :2] - came[:, roots[:1], :2]
    expected = 0.5 * (anchor[nodes, :2] - anchor[roots[0], :2])
    np.testing.assert_allclose(offsets, np.broadcast_to(expected, offsets.shape), atol=1e-3)
    np.testing.assert_array_equal(with_parts(clip, anchor, [part]), clip)  # it is there already


def test_a_part_is_attached_to_the_nearest_common_point_or_not_added() -> None:
    clip, anchor = dancing(LENGTHS_PX), dancing(LENGTHS_PX, num_frames=1, seed=7)[0]
    hip, knee = INDEX["left_hip"], INDEX["left_knee"]
    gone = without_parts(clip, ["left_leg"])
    gone[:, hip, 2] = 0.0
    came = with_parts(gone, anchor, ["left_leg"])
    np.testing.assert_allclose(
        came[:, knee, :2] - neck(clip), np.broadcast_to(anchor[knee, :2] - neck(anchor), (4, 2)), atol=1e-3
    )
    gone[:, INDEX["left_shoulder"], 2] = 0.0
    np.testing.assert_array_equal(with_parts(gone, anchor, ["left_leg"]), gone)


def test_changes_follow_the_configured_probabilities_and_ranges_deterministically() -> None:
    config = ExplicitIndicatorConfig(probability=0.8)
    drawn = [sample_change(np.random.default_rng(seed), config, pool_size=5) for seed in range(2000)]
    assert drawn == [sample_change(np.random.default_rng(seed), config, pool_size=5) for seed in range(2000)]
    applied = [change for change in drawn if change != UNCHANGED]
    assert 0.77 < len(applied) / len(drawn) < 0.83
    assert {change.anchor for change in applied} == set(range(5))
    assert all(change.realign for change in applied)
    for name, (low, high) in config.ranges.items():
        result = [change.factors[name] for change in applied if name in change.factors]
        assert 0.45 < len(result) / len(applied) < 0.55
        assert low <= min(result) < low * 1.1
        assert high / 1.1 < max(result) <= high
    for parts in ("dropped", "added"):
        assert {part for change in applied for part in getattr(change, parts)} == set(PARTS)


@pytest.mark.parametrize(
    ("switch", "field", "off"),
    [
        ({"realign": False}, "realign", False),
        ({"rescale_probability": 0.0}, "factors", {}),
        ({"add_probability": 0.0}, "added", ()),
        ({"drop_probability": 0.0}, "dropped", ()),
    ],
)
def test_each_ablation_disables_only_its_own_change(switch: dict[str, Any], field: str, off: object) -> None:
    config = ExplicitIndicatorConfig()
    for seed in range(200):
        full, less = (
            sample_change(np.random.default_rng(seed), settings, pool_size=5)
            for settings in (config, replace(config, **switch))
        )
        assert less == (full if full == UNCHANGED else replace(full, **{field: off}))


def test_a_disabled_range_affects_no_other_limbs() -> None:
    config = ExplicitIndicatorConfig()
    less = replace(config, body=None, shoulders=None)
    for seed in range(200):
        full, result = (sample_change(np.random.default_rng(seed), c, pool_size=5) for c in (config, less))
        expected = {name: factor for name, factor in full.factors.items() if name not in ("body", "shoulders")}
        assert result == replace(full, factors=expected)


def test_without_the_indicator_and_without_anchors() -> None:
    rng = np.random.default_rng(0)
    assert sample_change(rng, ExplicitIndicatorConfig(probability=0.0), pool_size=3) == UNCHANGED
    without_pool = sample_change(rng, ExplicitIndicatorConfig(probability=1.0, add_probability=1.0), pool_size=0)
    assert (without_pool.anchor, without_pool.realign, without_pool.added) == (None, False, ())


def test_a_part_both_added_and_dropped_is_dropped() -> None:
    clip, anchor = dancing(LENGTHS_PX), dancing(LENGTHS_PX, num_frames=1, seed=7)[0]
    gone = without_parts(clip, ["left_arm"])
    result = apply_change(gone, PoseChange(anchor=0, added=("left_arm",), dropped=("left_arm",)), anchor)
    np.testing.assert_array_equal(result[..., 2], gone[..., 2])


def test_an_empty_change_returns_its_input() -> None:
    clip = dancing(LENGTHS_PX)
    assert apply_change(clip, UNCHANGED, None) is clip
    assert rescaled(clip, {}) is clip
    assert without_parts(clip, []) is clip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"probability": 1.5}, "probability must be from 0 to 1, got 1.5"),
        ({"pool_size": 0}, "pool_size must be at least 1, got 0"),
        ({"legs": (2.0, 1.0)}, "must be positive and rising, got 2.0 to 1.0"),
    ],
)
def test_invalid_settings_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ExplicitIndicatorConfig(**changes)  # type: ignore[arg-type]
