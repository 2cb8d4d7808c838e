from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from models.perception.people import ClipPeople
from models.puppets import render, sample_spec
from stages.backends.base import EMBEDDED
from stages.prepare.pose import PoseConfig, PoseStage


def test_keypoints_of_a_puppet_clip() -> None:
    puppets = list(
        render(sample_spec(2_000_001, split="heldout", size_px=(192, 144), num_shots=1), fps=8, num_frames=5)
    )
    stage = PoseStage(PoseConfig(backend=EMBEDDED))
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
    assert row["num_people"] is None  # the embedded network looks for one character


def test_a_backend_that_sees_several_persons_counts_them() -> None:
    class TwoPeople:
        def keypoints(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            raise AssertionError("the persons would be looked for twice")

        def people(self, frames: NDArray[np.uint8]) -> ClipPeople:
            keypoints = np.full((len(frames), 133, 3), 0.5, np.float32)
            return ClipPeople(keypoints=keypoints, num_people=np.full(len(frames), 2, np.int32))

    stage = PoseStage(PoseConfig(backend=EMBEDDED))
    stage.backend = TwoPeople()
    row = stage({"frames": np.zeros((3, 8, 8, 3), np.uint8)})
    assert row["num_people"].tolist() == [2, 2, 2]
    assert (row["keypoints"] == 0.5).all()


def test_weights_are_known_without_opening() -> None:
    weights = PoseStage(PoseConfig(backend=EMBEDDED)).weights()
    assert list(weights) == ["embedded-pose"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", weights["embedded-pose"])


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown pose backend 'dwposs', expected one of dwpose, embedded, people"):
        PoseConfig(backend="dwposs")
