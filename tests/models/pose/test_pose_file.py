from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.pose.openpose import NUM_OPENPOSE
from models.pose.pose_file import FilePoses, PoseFileError, read_pose_file, write_pose_file
from models.pose.skeleton import FEET, INDEX
from models.puppets import render, sample_spec

GOOD: dict[str, Any] = {
    "bodies": np.full((2, 18, 2), 0.5),
    "body_indices": np.zeros((2, 18)),
    "faces": np.full((2, 68, 2), 0.25),
    "hands": np.full((2, 2, 21, 2), -1.0),
    "size": (80, 60, 3),
    "fps": 8,
}


def pickled(path: Path, content: object) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


def test_round_trip_in_the_public_layout(tmp_path: Path) -> None:
    spec = sample_spec(3, body="human", size_px=(80, 60))
    keypoints = np.stack([frame.keypoints for frame in render(spec, fps=8, num_frames=2)])
    keypoints[..., 2] = keypoints[..., 2] > 0
    keypoints[1, INDEX["left_wrist"], 2] = 0.0
    path = tmp_path / "a.pkl"
    write_pose_file(path, FilePoses(keypoints=keypoints, height_px=80, width_px=60), fps=8)
    poses = read_pose_file(path, shown="a.pkl")
    assert (poses.height_px, poses.width_px) == (80, 60)
    present = keypoints[..., 2] > 0
    present[:, FEET] = False
    np.testing.assert_array_equal(poses.keypoints[..., 2], present)
    np.testing.assert_allclose(poses.keypoints[present], keypoints[present], atol=1e-4)
    assert not poses.keypoints[~present].any()
    # The body as the public code reads it: OpenPose order, shares of the frame, -1 for what is missing.
    content = pickle.loads(path.read_bytes())
    right_shoulder = keypoints[0, INDEX["right_shoulder"], :2] / (60, 80)
    np.testing.assert_allclose(content["bodies"][0, 2], right_shoulder, atol=1e-6)
    assert (content["bodies"][1, 7] == -1).all()
    assert content["body_indices"][1, 7] == -1
    assert {name: np.shape(value) for name, value in content.items()} == {n: np.shape(v) for n, v in GOOD.items()}


def test_left_and_right_hand_are_distinguished(tmp_path: Path) -> None:
    hands = GOOD["hands"].copy()
    hands[:, 0] = 0.75
    poses = read_pose_file(pickled(tmp_path / "a.pkl", {**GOOD, "hands": hands}), shown="a.pkl").keypoints
    assert poses[0, INDEX["left_hand_wrist"]].tolist() == [45, 60, 1]
    assert poses[0, INDEX["right_hand_wrist"]].tolist() == [0, 0, 0]
    assert poses.shape == (2, NUM_OPENPOSE - 1, 3)


def test_pickles_of_numpy_1_are_read(tmp_path: Path) -> None:
    old = pickle.dumps(GOOD, protocol=3).replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core.multiarray" in old
    (tmp_path / "a.pkl").write_bytes(old)
    poses = read_pose_file(tmp_path / "a.pkl", shown="a.pkl").keypoints
    assert poses[0, INDEX["nose"]].tolist() == [30, 40, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "a.pkl holds list, expected a dictionary of bodies"),
        ({"bodies": 1}, "a.pkl holds a dictionary without faces, hands, size"),
        ({**GOOD, "bodies": np.zeros((2, 17, 2))}, r"bodies is float64 \(2, 17, 2\), expected \(T, 18, 2\)"),
        ({**GOOD, "bodies": [[0.0]]}, r"bodies is list, expected \(T, 18, 2\)"),
        ({**GOOD, "faces": np.full((2, 68, 2), np.nan)}, "faces holds nan"),
        ({**GOOD, "faces": np.zeros((3, 68, 2))}, "2 bodies, 3 faces, 2 hands, expected one of each for every frame"),
        ({**GOOD, **{name: GOOD[name][:0] for name in ("bodies", "faces", "hands")}}, "at least one frame"),
        ({**GOOD, "size": (0, 60, 3)}, r"size is \(0, 60, 3\), expected \(height, width, 3\)"),
        ({**GOOD, "size": None}, "size is None"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(PoseFileError, match=message):
        read_pose_file(pickled(tmp_path / "a.pkl", content), shown="a.pkl")


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_no_code_in_a_file_is_executed(tmp_path: Path) -> None:
    path = pickled(tmp_path / "a.pkl", {**GOOD, "fps": Hostile(tmp_path / "made")})
    with pytest.raises(PoseFileError, match="which no numpy array needs"):
        read_pose_file(path, shown="a.pkl")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("data", [b"", b"<html>404</html>", pickle.dumps(GOOD)[:200]])
def test_a_damaged_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(PoseFileError, match=r"saved/a.pkl is no pose file \(.*expected a pickle of process_data.py"):
        read_pose_file(tmp_path / "a.pkl", shown="saved/a.pkl")
