from __future__ import annotations

import re

import numpy as np
import pytest
from drawn_skeletons import LENGTHS_PX, skeleton
from numpy.typing import NDArray
from puppet_media import side_by_side_puppets

from models.perception.people import ClipPeople
from models.puppets import render, sample_spec
from pipelines.engine.keys import described, digest
from stages.backends.base import EMBEDDED
from stages.prepare.pose import PoseConfig, PoseStage


def test_keypoints_of_a_puppet_clip() -> None:
    puppets = list(
        render(sample_spec(2_000_001, split="heldout", size_px=(192, 144), num_shots=1), fps=8, num_frames=5)
    )
    stage = PoseStage(PoseConfig(backend=EMBEDDED))
    stage.open()
    row = stage(
        {"clip_id": "a", "frames": np.stack([puppet.rgb for puppet in puppets]), "frame_seconds": np.arange(5) / 8}
    )
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
    row = stage({"frames": np.zeros((3, 8, 8, 3), np.uint8), "frame_seconds": [0.0, 0.1, 0.2]})
    assert row["num_people"].tolist() == [2, 2, 2]
    assert (row["keypoints"] == 0.5).all()


def test_two_puppets_side_by_side_are_no_character() -> None:
    stage = PoseStage(PoseConfig(backend=EMBEDDED))
    stage.open()
    row = stage({"frames": side_by_side_puppets(3, 8), "frame_seconds": np.arange(8) / 12})
    assert row["implausible_share"] > 0.9
    lost = ~row["keypoints"].any(axis=(1, 2))
    assert lost.mean() == pytest.approx(row["implausible_share"])


def test_weights_are_known_without_opening() -> None:
    weights = PoseStage(PoseConfig(backend=EMBEDDED)).weights()
    assert list(weights) == ["embedded-pose"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", weights["embedded-pose"])


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown pose backend 'dwposs', expected one of dwpose, embedded, people"):
        PoseConfig(backend="dwposs")


class Shaking:
    """A backend whose keypoints shake by two pixels."""

    def keypoints(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        keypoints = np.stack([skeleton(LENGTHS_PX, np.full(20, 0.4), (90, 70))] * len(frames))
        keypoints[::2, :, 0] += 2
        return keypoints


def test_keypoints_of_people_are_smoothed_unless_a_setting_says_otherwise() -> None:
    frames = np.zeros((30, 8, 8, 3), np.uint8)
    raw = Shaking().keypoints(frames)
    shaking = {}
    for name, config in {
        "puppets": PoseConfig(backend=EMBEDDED),
        "people": PoseConfig(backend="people"),
        "off": PoseConfig(backend="people", smoothing_seconds=0),
        "on": PoseConfig(backend=EMBEDDED, smoothing_seconds=0.2),
    }.items():
        stage = PoseStage(config)
        stage.backend = Shaking()
        row = {"frames": frames, "frame_seconds": np.arange(30) / 30}
        keypoints = stage({column: row[column] for column in stage.reads})["keypoints"]
        shaking[name] = np.abs(np.diff(keypoints[..., 0], axis=0)).mean()
        assert np.array_equal(keypoints, raw) == (name in ("puppets", "off"))
    assert shaking["on"] < shaking["people"] < 0.5 * shaking["off"]


@pytest.mark.parametrize("seconds", [-0.1, 1.5, float("nan")])
def test_smoothing_that_cannot_be_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="expected smoothing_seconds from 0 to 1, got"):
        PoseConfig(smoothing_seconds=seconds)


def test_smoothing_is_in_the_key_where_there_is_any() -> None:
    configs = [
        PoseConfig(backend="people", smoothing_seconds=0),
        PoseConfig(backend="people"),
        PoseConfig(backend="people", smoothing_seconds=0.1),
        PoseConfig(backend="people", smoothing_seconds=0.2),
    ]
    off, default, same, longer = (digest(config) for config in configs)
    assert default == same
    assert len({off, default, longer}) == 3
    assert described(PoseConfig(backend=EMBEDDED)) == {"backend": "embedded"}  # as before there was smoothing
