from __future__ import annotations

import numpy as np
import pytest
from puppet_media import puppet_frames
from toy_animation import spec_of

from models.perception.embedded import EmbeddedFigure
from stages.animate.skeleton import SkeletonConfig, SkeletonStage
from stages.base import Row


@pytest.fixture(scope="module")
def row() -> Row:
    figure = EmbeddedFigure()
    return {
        "driving_keypoints": figure.keypoints(puppet_frames(8, num_frames=3)),
        "driving_width_px": 96,
        "driving_height_px": 128,
        "reference_keypoints": figure.keypoints(puppet_frames(3, num_frames=1))[0],
        "canvas_width_px": 64,
        "canvas_height_px": 80,
        "model_spec": spec_of(),
        "retarget": None,
    }


def test_the_driving_motion_is_drawn_at_the_output_size(row: Row) -> None:
    made = SkeletonStage(SkeletonConfig())(row)
    assert made["skeleton_frames"].shape == (3, 80, 64, 3)
    assert made["skeleton_frames"].any(axis=(1, 2, 3)).all()
    assert made["retarget_rule"] == "limbs"


def test_reference_without_skeleton_uses_a_coarser_rule(row: Row) -> None:
    blank = np.zeros((133, 3), np.float32)
    made = SkeletonStage(SkeletonConfig())({**row, "reference_keypoints": blank})
    assert made["retarget_rule"] == "frame"
    assert made["skeleton_frames"].any()


def test_the_request_overrides_the_rule(row: Row) -> None:
    stage = SkeletonStage(SkeletonConfig())
    made = stage({**row, "retarget": "frame"})
    assert made["retarget_rule"] == "frame"
    assert not np.array_equal(made["skeleton_frames"], stage(row)["skeleton_frames"])


def test_rejects_an_unknown_rule() -> None:
    with pytest.raises(ValueError, match="unknown rule 'magic', expected one of limbs"):
        SkeletonConfig(rule="magic")  # type: ignore[arg-type]
