"""Shipped face network: required scores on held-out portraits, and behaviour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.common.digest import CheckpointError, file_digest
from models.perception.embedded import EmbeddedFigure
from models.perception.face_landmarks import BATCH_FRAMES, FaceLandmarks
from models.perception.face_scores import face_scores
from models.perception.shipped import CHECKPOINTS, FACE_CHECKPOINT, FIGURE_CHECKPOINT
from models.pose.skeleton import FACE
from models.puppets import PuppetFrame, render, sample_portrait

FIRST_HELDOUT_SEED = 2_000_000
"""Other held-out portraits than those on the card."""


@pytest.fixture(scope="module")
def face() -> FaceLandmarks:
    return FaceLandmarks()


@pytest.fixture(scope="module")
def portraits() -> list[list[PuppetFrame]]:
    specs = [sample_portrait(FIRST_HELDOUT_SEED + seed, split="heldout") for seed in range(4)]
    return [list(render(spec, 8.0, 16)) for spec in specs]


def frames_and_truth(portrait: list[PuppetFrame]) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([frame.rgb for frame in portrait]), np.stack([frame.keypoints for frame in portrait])


@pytest.mark.usefixtures("one_thread")
def test_eyes_and_mouth_are_found_better_than_by_the_figure_network(
    face: FaceLandmarks, portraits: list[list[PuppetFrame]]
) -> None:
    scores = face_scores(face, EmbeddedFigure(), portraits)
    for suffix in ("", "_blurred"):
        for part in ("eyes", "mouth"):
            assert scores[f"face_{part}_error{suffix}"] < 0.02
            assert scores[f"face_{part}_error{suffix}"] < scores[f"figure_{part}_error{suffix}"]
        for part in ("lids", "lips"):
            assert scores[f"face_{part}_correlation{suffix}"] > 0.85


def test_checkpoint_is_small_and_on_the_card() -> None:
    assert FACE_CHECKPOINT.stat().st_size <= 1_500_000
    assert file_digest(FACE_CHECKPOINT) in (CHECKPOINTS / "CARD.md").read_text()


@settings(max_examples=10)
@given(
    x=st.integers(-30, 60), y=st.integers(-30, 60), ratio=st.sampled_from((0.75, 1.0, 2.0)), seed=st.integers(0, 2**16)
)
def test_landmarks_move_with_the_face(
    face: FaceLandmarks, portraits: list[list[PuppetFrame]], x: int, y: int, ratio: float, seed: int
) -> None:
    """A moved and resized frame has the landmarks moved and resized, within a few hundredths of the face's height."""
    import cv2

    frames, truth = frames_and_truth(portraits[seed % len(portraits)])
    frame, keypoints = frames[:1], truth[:1]
    matrix = np.array([[ratio, 0, x], [0, ratio, y]])
    size = (round(144 * ratio) + 60, round(192 * ratio) + 60)
    moved = cv2.warpAffine(frame[0], matrix, size, borderMode=cv2.BORDER_REPLICATE)
    moved_keypoints = keypoints.copy()
    moved_keypoints[..., :2] = keypoints[..., :2] * ratio + (x, y)
    found = face.landmarks(frame, keypoints)[0, :, :2] * ratio + (x, y)
    inside = ((found > 4) & (found < np.array(size) - 4)).all()
    if not inside:
        return
    distance = np.linalg.norm(face.landmarks(moved[None], moved_keypoints)[0, :, :2] - found, axis=1)
    assert distance.mean() < 0.04 * np.ptp(found[:, 1])


def test_results_are_independent_of_the_batch(face: FaceLandmarks, portraits: list[list[PuppetFrame]]) -> None:
    frames, truth = frames_and_truth([frame for portrait in portraits for frame in portrait][: BATCH_FRAMES + 2])
    found = face.landmarks(frames, truth)
    assert found.shape == (BATCH_FRAMES + 2, 68, 3)
    np.testing.assert_allclose(face.landmarks(frames[-1:], truth[-1:])[0], found[-1], atol=0.01)
    assert (found[..., 2] > 0.5).mean() > 0.95


def test_scores_are_low_where_there_is_no_face(face: FaceLandmarks, portraits: list[list[PuppetFrame]]) -> None:
    _, truth = frames_and_truth(portraits[0])
    plain = np.full((1, 192, 144, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, plain.shape).astype(np.uint8)
    for frames in (plain, noise):
        assert np.median(face.landmarks(frames, truth[:1])[..., 2]) < 0.3


@pytest.mark.parametrize("place", [(-500.0, -500.0), (5000.0, 10.0), (0.0, 0.0)])
def test_a_face_outside_the_frame_gives_landmarks_near_the_border(
    face: FaceLandmarks, place: tuple[float, float]
) -> None:
    keypoints = np.zeros((1, 133, 3), np.float32)
    keypoints[:, FACE, :2] = place
    assert np.isfinite(face.landmarks(np.zeros((1, 40, 30, 3), np.uint8), keypoints)).all()


def test_frames_without_keypoints_and_other_networks_are_refused(face: FaceLandmarks) -> None:
    with pytest.raises(ValueError, match="got 2 frames and 1 skeletons"):
        face.landmarks(np.zeros((2, 8, 8, 3), np.uint8), np.zeros((1, 133, 3), np.float32))
    with pytest.raises(CheckpointError, match="network of 133 keypoints; expected one of 68 landmarks"):
        FaceLandmarks(FIGURE_CHECKPOINT)
    assert face.landmarks(np.zeros((0, 8, 8, 3), np.uint8), np.zeros((0, 133, 3), np.float32)).shape == (0, 68, 3)
