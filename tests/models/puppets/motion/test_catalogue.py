from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from models.puppets.motion.catalogue import (
    HELDOUT_GESTURES,
    HELDOUT_MOTIONS,
    MOTIONS,
    TRAIN_GESTURES,
    TRAIN_MOTIONS,
)
from models.puppets.motion.pose import Pose, mirror


def _values(pose: Pose) -> np.ndarray:
    flat: list[float] = []
    for value in asdict(pose).values():
        items = value.values() if isinstance(value, dict) else [value]
        for item in items:
            flat.extend(item if isinstance(item, tuple) else [item])
    return np.array(flat, dtype=float)


def test_the_splits_share_no_motion() -> None:
    assert not set(TRAIN_MOTIONS) & set(HELDOUT_MOTIONS)
    assert not set(TRAIN_GESTURES) & set(HELDOUT_GESTURES)
    assert len(TRAIN_MOTIONS) >= 12
    assert len(HELDOUT_MOTIONS) >= 4


@pytest.mark.parametrize("name", sorted(MOTIONS))
def test_a_motion_moves_smoothly_and_stays_in_reach(name: str) -> None:
    phases = np.arange(0.0, 4.0, 0.02)
    poses = [MOTIONS[name](float(phase), 1.0) for phase in phases]
    values = np.stack([_values(pose) for pose in poses])
    assert np.isfinite(values).all()
    assert values.std(axis=0).max() > 0.02
    for pose in poses:
        for side in (pose.left, pose.right):
            assert np.linalg.norm(side.hand) < 1.35
            assert side.foot[1] >= -1e-9
    assert max(pose.crouch for pose in poses) < 0.6


@pytest.mark.parametrize("name", sorted(MOTIONS))
def test_mirroring_twice_is_the_identity(name: str) -> None:
    pose = MOTIONS[name](0.37, 0.9)
    np.testing.assert_allclose(_values(mirror(mirror(pose))), _values(pose))


def test_improvised_poses_are_distinct_and_determined_by_the_phase() -> None:
    whole = [_values(MOTIONS["improvise"](float(beat), 1.0)) for beat in range(40)]
    assert np.ptp(np.stack(whole), axis=0)[:3].min() > 0.8  # the left hand gets about
    np.testing.assert_array_equal(_values(MOTIONS["improvise"](7.3, 1.0)), _values(MOTIONS["improvise"](7.3, 1.0)))
    half = _values(MOTIONS["improvise"](7.3, 1.0))
    assert (half >= np.minimum(whole[7], whole[8]) - 1e-9).all()
    assert (half <= np.maximum(whole[7], whole[8]) + 1e-9).all()
