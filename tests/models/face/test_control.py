from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from faces import face_at, with_face
from golden import GOLDEN, optional_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file

from models.face.control import face_control, similarity

RNG = np.random.default_rng(5)
FRAMES = RNG.integers(1, 256, (3, 120, 100, 3), dtype=np.uint8)
SIZE_PX = (120, 100)


def clip(*faces: tuple[float, float, float]) -> NDArray[np.float32]:
    return np.stack([with_face(face_at(*face)) for face in faces])


KEYPOINTS = clip((50, 50, 40), (55, 50, 40), (50, 60, 44))


def smooth_frame(height: int, width: int, points_of: NDArray[np.float64] | None = None) -> NDArray[np.uint8]:
    """A picture of slow waves; `points_of` (2, 3): waves seen through the inverse of this transform."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    if points_of is not None:
        linear = np.linalg.inv(points_of[:, :2])
        x, y = np.tensordot(linear, np.stack([x, y]) - points_of[:, 2][:, None, None], axes=1)
    waves = [np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)]
    return np.stack([127 + 100 * wave for wave in waves], axis=-1).astype(np.uint8)


def test_pictures_are_the_public_codes() -> None:
    folder = optional_golden("face_control")
    case = json.loads((GOLDEN / "face_control" / "case.json").read_text())
    landmarks = load_file(GOLDEN / "face_control" / "outputs.safetensors")
    read = {
        (frame["frame"], kind): cv2.imread(str(folder / f"frame{frame['frame']}.{kind}.png"))
        for frame in case["frames"]
        for kind in ("cropped", "local", "global")
    }
    detected = [frame["frame"] for frame in case["frames"] if frame["detected"]]
    frames = np.stack([read[index, "cropped"] for index in detected])
    faces = [np.column_stack([landmarks[f"frame{index}.landmarks"], np.ones(68, np.float32)]) for index in detected]
    keypoints = np.stack([with_face(face) for face in faces])
    made = face_control(frames, keypoints, keypoints, size_px=(case["height"], case["width"]))
    for picture, index in zip(made.pictures_THWC6, detected, strict=True):
        np.testing.assert_array_equal(picture[..., :3], read[index, "local"])
        np.testing.assert_array_equal(picture[..., 3:], read[index, "global"])


def test_patches_are_the_frames_own_pixels_and_all_else_is_black() -> None:
    made = face_control(FRAMES, KEYPOINTS, KEYPOINTS, size_px=SIZE_PX)
    for frame, picture in enumerate(made.pictures_THWC6):
        inside = np.zeros((*SIZE_PX, 2), bool)
        for x0, y0, x1, y1 in made.regions.patches_T34[frame]:
            inside[y0:y1, x0:x1, 0] = True
        x0, y0, x1, y1 = made.regions.boxes_T4[frame]
        inside[y0:y1, x0:x1, 1] = True
        assert 0 < inside[..., 0].sum() < inside[..., 1].sum() < inside[..., 1].size
        np.testing.assert_array_equal(picture[..., :3], FRAMES[frame] * inside[..., :1])
        np.testing.assert_array_equal(picture[..., 3:], FRAMES[frame] * inside[..., 1:])
    assert made.seen_T.all()
    assert made.heights_px_T.tolist() == pytest.approx([40, 40, 44], abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(degrees=st.floats(-40, 40), scale=st.floats(0.4, 2.5), x=st.floats(-20, 60), y=st.floats(-20, 60))
def test_the_face_moves_with_the_drawn_face(degrees: float, scale: float, x: float, y: float) -> None:
    turn = np.radians(degrees)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.array([[cos, -sin, x], [sin, cos, y]])
    drawn = KEYPOINTS[:1].copy()
    drawn[..., :2] = KEYPOINTS[:1, :, :2] @ matrix[:, :2].T + matrix[:, 2]
    # Large driving frames, so that the whole box has pixels.
    shift = np.array([400, 400])
    driving = KEYPOINTS[:1].copy()
    driving[..., :2] += shift
    whole = np.column_stack([matrix[:, :2], matrix[:, 2] - matrix[:, :2] @ shift])
    made = face_control(smooth_frame(900, 900)[None], driving, drawn, size_px=SIZE_PX)
    expected = smooth_frame(*SIZE_PX, points_of=whole)
    x0, y0, x1, y1 = made.regions.boxes_T4[0]
    if made.seen_T[0]:
        difference = made.pictures_THWC6[0, y0:y1, x0:x1, 3:].astype(int) - expected[y0:y1, x0:x1]
        assert np.abs(difference).max() <= 24
        assert np.abs(difference).mean() <= 3
    patches = made.pictures_THWC6[..., :3]
    assert made.seen_T[0] == patches.any()


@given(degrees=st.floats(-180, 180), scale=st.floats(0.1, 9), x=st.floats(-100, 100), y=st.floats(-100, 100))
def test_similarity_is_recovered(degrees: float, scale: float, x: float, y: float) -> None:
    turn = np.radians(degrees)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.array([[cos, -sin, x], [sin, cos, y]])
    points = face_at(50, 40, 30)[:, :2].astype(np.float64)
    np.testing.assert_allclose(similarity(points, points @ matrix[:, :2].T + matrix[:, 2]), matrix, atol=1e-9)


def test_similarity_of_a_stretched_face_has_no_shear() -> None:
    points = face_at(0, 0, 30)[:, :2].astype(np.float64)
    matrix = similarity(points, points * [1.0, 1.5])
    assert matrix[0, 0] == matrix[1, 1]
    assert matrix[0, 1] == -matrix[1, 0]
    assert 1 < matrix[0, 0] < 1.5


def test_a_lost_face_shows_the_frames_own_pixels_in_the_last_box() -> None:
    keypoints = KEYPOINTS.copy()
    keypoints[1, :, 2] = 0
    made = face_control(FRAMES, keypoints, keypoints, size_px=SIZE_PX)
    assert made.seen_T.tolist() == [True, False, True]
    x0, y0, x1, y1 = made.regions.boxes_T4[0]
    np.testing.assert_array_equal(made.pictures_THWC6[1, y0:y1, x0:x1, 3:], FRAMES[1, y0:y1, x0:x1])
    assert made.pictures_THWC6[1, ..., :3].any()


def test_frames_before_the_first_face_are_black() -> None:
    keypoints = KEYPOINTS.copy()
    keypoints[:2, :, 2] = 0
    made = face_control(FRAMES, keypoints, keypoints, size_px=SIZE_PX)
    assert made.pictures_THWC6.any(axis=(1, 2, 3)).tolist() == [False, False, True]
    assert np.isnan(made.heights_px_T).tolist() == [True, True, False]


def test_a_face_that_is_not_drawn_has_no_patch() -> None:
    drawn = KEYPOINTS.copy()
    drawn[1:] = 0
    made = face_control(FRAMES, KEYPOINTS, drawn, size_px=SIZE_PX)
    assert made.regions.absences == (None, "not drawn", "not drawn")


def test_landmarks_in_place_of_patches() -> None:
    made = face_control(FRAMES, KEYPOINTS, KEYPOINTS, size_px=SIZE_PX, form="landmarks")
    assert set(np.unique(made.pictures_THWC6)) == {0, 255}
    parts, whole = made.pictures_THWC6[..., 0] > 0, made.pictures_THWC6[..., 3] > 0
    assert (parts & ~whole).sum() == 0
    for frame, face in enumerate(KEYPOINTS[:, 23:91, :2].round().astype(int)):
        assert whole[frame, face[:, 1], face[:, 0]].all()
        assert parts[frame, face[60:, 1], face[60:, 0]].all()
        assert not parts[frame, face[8, 1], face[8, 0]]


def test_rejects_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="expected as many frames as skeletons, got 2 frames, 3 and 3 skeletons"):
        face_control(FRAMES[:2], KEYPOINTS, KEYPOINTS, size_px=SIZE_PX)
