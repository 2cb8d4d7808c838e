from __future__ import annotations

import json

import numpy as np
import pytest
from faces import FACE_LANDMARKS, face_at
from golden import GOLDEN
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from models.face.regions import MIN_FACE_PX, Absence, face_absences, face_box, face_heights_px, find_regions

SIZE_PX = (168, 96)
CASE = json.loads((GOLDEN / "face_control" / "case.json").read_text())
LANDMARKS = load_file(GOLDEN / "face_control" / "outputs.safetensors")

sides = st.integers(24, 200)
places = st.tuples(st.floats(-50, 250), st.floats(-50, 250), st.floats(16, 120))


def golden_landmarks() -> np.ndarray:
    """(T, 68, 3): the case's landmarks, with score 0 where its detector found no face."""
    detected = np.array([frame["detected"] for frame in CASE["frames"]], np.float32)
    xy = np.stack([LANDMARKS[f"frame{i}.landmarks"] for i in range(len(detected))])
    return np.concatenate([xy, np.repeat(detected, 68).reshape(-1, 68, 1)], axis=-1)


def regions_of(landmarks: np.ndarray, size_px: tuple[int, int]):
    return find_regions(landmarks, size_px, known_absences=face_absences(landmarks))


def test_boxes_and_patches_are_the_public_codes() -> None:
    found = regions_of(golden_landmarks(), (CASE["height"], CASE["width"]))
    checked = 0
    for frame in CASE["frames"]:
        if not frame["detected"]:
            continue
        index, (x0, y0, x1, y1) = frame["frame"], frame["bbox"]
        assert found.boxes_T4[index].tolist() == frame["bbox"]
        half = int((x1 - x0) / 512 * 64), int((y1 - y0) / 512 * 64)
        expected = [[x - half[0], y - half[1], x + half[0], y + half[1]] for x, y in frame["centers"]]
        assert found.patches_T34[index].tolist() == expected
        checked += 1
    assert checked == 3


def test_a_lost_face_keeps_the_last_regions_and_none_come_before_the_first() -> None:
    landmarks = golden_landmarks()
    landmarks[0, :, 2] = 0
    found = regions_of(landmarks, SIZE_PX)
    assert found.source_T.tolist() == [-1, 1, 1, 3]
    assert found.seen_T.tolist() == [False, True, False, True]
    assert found.absences == (Absence.NOT_SEEN, None, Absence.NOT_SEEN, None)
    assert not found.boxes_T4[0].any()
    assert not found.patches_T34[0].any()
    np.testing.assert_array_equal(found.boxes_T4[2], found.boxes_T4[1])
    np.testing.assert_array_equal(found.patches_T34[2], found.patches_T34[1])


@pytest.mark.parametrize("height_px", [MIN_FACE_PX - 0.1, MIN_FACE_PX + 0.1])
def test_a_face_below_16_pixels_is_too_small(height_px: float) -> None:
    landmarks = face_at(40, 40, height_px)[None]
    assert face_heights_px(landmarks).tolist() == pytest.approx([height_px], abs=1e-3)
    expected = Absence.TOO_SMALL if height_px < MIN_FACE_PX else None
    assert face_absences(landmarks) == (expected,)


def test_half_of_the_landmarks_and_one_part_are_needed() -> None:
    landmarks = np.stack([face_at(40, 40, 40)] * 3)
    landmarks[0, :35, 2] = 0.2
    landmarks[1, 36:, 2] = 0.2
    landmarks[2, 36:48, 2] = 0.2
    assert face_absences(landmarks) == (Absence.NOT_SEEN, Absence.NOT_SEEN, None)
    found = regions_of(landmarks[2:], SIZE_PX)
    assert found.patches_T34[0].any(axis=1).tolist() == [False, False, True]


def test_a_face_beside_the_picture_is_not_drawn() -> None:
    found = regions_of(face_at(-300, 40, 40)[None], SIZE_PX)
    assert found.absences == (Absence.NOT_DRAWN,)
    assert found.source_T.tolist() == [-1]


@given(height=sides, width=sides, place=places)
def test_regions_are_inside_the_picture(height: int, width: int, place: tuple[float, float, float]) -> None:
    found = regions_of(face_at(*place)[None], (height, width))
    for x0, y0, x1, y1 in [*found.boxes_T4.tolist(), *found.patches_T34[0].tolist()]:
        assert 0 <= x0 <= x1 <= width
        assert 0 <= y0 <= y1 <= height
    assert found.seen_T[0] == (found.absences[0] is None) == found.patches_T34.any()


@given(x=st.integers(100, 200), y=st.integers(100, 200), dx=st.integers(0, 300), dy=st.integers(0, 300))
def test_a_shifted_face_has_shifted_regions(x: int, y: int, dx: int, dy: int) -> None:
    # Sizes in quarters of a pixel, so that sums are exact.
    landmarks = (face_at(x, y, 40) * 4).round() / 4
    moved = landmarks + np.array([dx, dy, 0], np.float32)
    at_first, then = (regions_of(each[None], (1000, 1000)) for each in (landmarks, moved))
    shift = np.array([dx, dy, dx, dy])
    assert np.abs(then.boxes_T4 - at_first.boxes_T4 - shift).max() == 0
    # Centres are rounded half to even.
    assert np.abs(then.patches_T34 - at_first.patches_T34 - shift).max() <= 1


@given(scale=st.sampled_from([2, 4, 8]))
def test_the_box_grows_with_the_face(scale: int) -> None:
    small, large = (np.array(face_box(face_at(60 * s, 60 * s, 30 * s)[:, :2], (2000, 2000))) for s in (1, scale))
    assert np.abs(large - scale * small).max() <= scale


def test_the_template_is_a_face() -> None:
    assert FACE_LANDMARKS[8, 1] == FACE_LANDMARKS[:, 1].max()
    assert FACE_LANDMARKS[36, 0] < FACE_LANDMARKS[45, 0]
