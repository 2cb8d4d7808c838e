from __future__ import annotations

import re

import numpy as np
import pytest

from models.puppets import render, sample_spec
from stages.pose import PoseConfig, PoseStage


def test_keypoints_of_a_puppet_clip() -> None:
    puppets = list(
        render(sample_spec(2_000_001, split="heldout", size_px=(192, 144), num_shots=1), fps=8, num_frames=5)
    )
    stage = PoseStage(PoseConfig())
    stage.open()
    row = stage({"clip_id": "a", "frames": np.stack([puppet.rgb for puppet in puppets])})
    keypoints = row["keypoints"]
    assert keypoints.shape == (5, 133, 3)
    assert keypoints.dtype == np.float32
    truth = np.stack([puppet.keypoints for puppet in puppets])
    visible = truth[..., 2] == 2
    assert np.median(np.linalg.norm(keypoints[visible][:, :2] - truth[visible][:, :2], axis=-1)) < 6
    assert keypoints[visible][:, 2].mean() > 0.7
    assert row["clip_id"] == "a"


def test_weights_are_known_without_opening() -> None:
    weights = PoseStage(PoseConfig()).weights()
    assert list(weights) == ["embedded-pose"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", weights["embedded-pose"])


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown pose backend 'dwposs', expected one of \['embedded'\]"):
        PoseConfig(backend="dwposs")
