"""Recorded outputs of the networks, compared with the points of MediaPipe's own graph on the same frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden import GOLDEN
from numpy.typing import NDArray

from models.perception.mediapipe import body, detector, face, hands
from models.perception.mediapipe.layout import BODY_LANDMARKS
from models.perception.mediapipe.pose import MediapipePose
from models.perception.mediapipe.tracking import BodyTracker
from models.pose.skeleton import BODY, FACE, INDEX, LEFT_HAND, RIGHT_HAND

FRAMES = ("xdyna_1", "animatex_dance1")


@pytest.fixture(scope="module")
def recorded() -> dict[str, NDArray[np.generic]]:
    with np.load(GOLDEN / "mediapipe" / "outputs.npz") as stored:
        return dict(stored)


def replayed(
    recorded: dict[str, NDArray[np.generic]], frame: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[MediapipePose, NDArray[np.uint8]]:
    """The backend on networks that answer what was recorded, whatever they see; a frame of the recorded size."""

    class Recorded:
        def __init__(self, path: Path, **_: object) -> None:
            self.name, self.calls = path.stem, 0

        def run(self, _: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
            start = f"{frame}.{self.name}.{self.calls}."
            outputs = [recorded[key].astype(np.float32) for key in sorted(recorded) if key.startswith(start)]
            # Outputs that nothing reads are not stored.
            outputs += [np.zeros(1, np.float32)] * {"pose_landmark_full": 1, "hand_landmark_full": 2}.get(self.name, 0)
            self.calls += 1
            return outputs

    for module in (body, detector, face, hands):
        monkeypatch.setattr(module, "TfliteNetwork", Recorded)
    height, width = recorded[f"{frame}.size_px"]
    return MediapipePose(Path(), bodies=BodyTracker(Path())), np.zeros((1, height, width, 3), np.uint8)


def peer(recorded: dict[str, NDArray[np.generic]], frame: str, part: str) -> NDArray[np.float32]:
    """Points x, y in pixels of the frame."""
    return recorded[f"{frame}.{part}"][:, :2] * recorded[f"{frame}.size_px"][::-1] - np.float32(0.5)


@pytest.mark.parametrize("frame", FRAMES)
def test_points_are_those_of_mediapipe(
    frame: str, recorded: dict[str, NDArray[np.generic]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pose, frames = replayed(recorded, frame, monkeypatch)
    keypoints = pose.keypoints(frames)[0]
    points = peer(recorded, frame, "body")[BODY_LANDMARKS]
    size = np.ptp(points, axis=0).max()
    scores = recorded[f"{frame}.body"][BODY_LANDMARKS, 3:].min(axis=1)
    distances = np.linalg.norm(keypoints[BODY, :2] - points, axis=1)
    assert distances.mean() < 0.003 * size
    assert distances[scores > 0.5].max() < 0.005 * size
    np.testing.assert_allclose(keypoints[BODY, 2], scores, atol=0.08)
    for side, part in (("left", LEFT_HAND), ("right", RIGHT_HAND)):
        hand = peer(recorded, frame, f"{side}_hand")
        assert np.isfinite(hand).all() == (keypoints[part, 2] > 0).all()
        if np.isfinite(hand).all():
            side_px = np.ptp(hand, axis=0).max()
            assert np.linalg.norm(keypoints[part, :2] - hand, axis=1).mean() < 0.05 * side_px
            # The body's wrist and the hand's are of one side.
            wrist = keypoints[INDEX[f"{side}_wrist"], :2]
            assert np.linalg.norm(keypoints[part.start, :2] - wrist) < side_px
    left, right = keypoints[INDEX["left_shoulder"], 0], keypoints[INDEX["right_shoulder"], 0]
    assert left > right, "both persons face the camera"
    # The 68 landmarks lie around the nose, eyes and mouth in their places.
    eyes, mouth = keypoints[FACE][36:48, :2], keypoints[FACE][48:68, :2]
    assert eyes[:, 1].max() < keypoints[INDEX["nose"], 1] < mouth[:, 1].min()
    assert eyes[:6, 0].max() < keypoints[INDEX["nose"], 0] < eyes[6:, 0].min()


@pytest.mark.parametrize("frame", FRAMES)
def test_the_mask_before_its_refinement_is_that_of_mediapipe(
    frame: str, recorded: dict[str, NDArray[np.generic]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pose, frames = replayed(recorded, frame, monkeypatch)
    ((found,),) = pose.bodies.bodies(frames)
    mask = found.region.paste(found.mask.astype(np.float32), frames.shape[1:3], outside=0.0) >= 127.5
    expected = np.unpackbits(recorded[f"{frame}.mask"])[: mask.size].reshape(mask.shape).astype(bool)
    assert (mask & expected).sum() / (mask | expected).sum() > 0.98
