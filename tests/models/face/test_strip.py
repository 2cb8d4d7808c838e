from __future__ import annotations

import numpy as np
from faces import face_at, with_face

from models.face.control import face_control
from models.face.strip import GAP_PX, NUM_FRAMES, SIDE_PX, face_strip

CELL = SIDE_PX + GAP_PX


def strip_of(num_frames: int, lost: int | None = None) -> np.ndarray:
    frames = np.full((num_frames, 100, 100, 3), (10, 100, 200), np.uint8)
    keypoints = np.stack([with_face(face_at(50, 45, 30))] * num_frames)
    if lost is not None:
        keypoints[lost, :, 2] = 0
    return face_strip(face_control(frames, keypoints, keypoints, size_px=(100, 100)))


def test_faces_are_above_their_patches() -> None:
    strip = strip_of(3)
    assert strip.shape == (2 * CELL - GAP_PX, 3 * CELL - GAP_PX, 3)
    assert (strip[SIDE_PX // 2, :SIDE_PX] == (10, 100, 200)).all()
    patches = strip[CELL:, :SIDE_PX]
    shown = (patches == (10, 100, 200)).all(axis=-1).mean()
    assert 0.05 < shown < 0.5
    assert (strip[:SIDE_PX, :SIDE_PX] == (10, 100, 200)).all(axis=-1).mean() > shown


def test_a_long_clip_is_sampled() -> None:
    assert strip_of(50).shape[1] == NUM_FRAMES * CELL - GAP_PX


def test_a_lost_face_is_marked() -> None:
    strip = strip_of(3, lost=0)
    assert (strip[0, 0] == (255, 150, 40)).all()
    assert not strip[SIDE_PX // 2, SIDE_PX // 2].any()
    assert (strip[0, CELL] == (10, 100, 200)).all()
