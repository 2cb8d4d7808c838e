from __future__ import annotations

import numpy as np

from models.perception.sapiens.top_down import TopDownPose


class Detector:
    """Two persons; the larger one is in the middle, and leaves after two frames."""

    def boxes(self, frames: np.ndarray) -> list[np.ndarray]:
        small, large = (0, 0, 10, 20, 0.9), (30, 10, 70, 90, 0.8)
        return [np.array([small, large][: 2 if t < 2 else 0], np.float32).reshape(-1, 5) for t in range(len(frames))]


class Pose:
    def keypoints(self, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        self.boxes = boxes
        return np.ones((len(frames), 133, 3), np.float32)


def test_the_network_gets_the_crop_of_the_character() -> None:
    top_down = TopDownPose.__new__(TopDownPose)
    top_down.detector, top_down.pose = Detector(), Pose()
    people = top_down.people(np.zeros((4, 100, 100, 3), np.uint8))
    assert people.num_people.tolist() == [2, 2, 0, 0]
    assert top_down.pose.boxes[:2].tolist() == [[30, 10, 70, 90]] * 2
    assert np.isnan(top_down.pose.boxes[2:]).all()
    assert people.keypoints.shape == (4, 133, 3)
