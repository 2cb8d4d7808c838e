from __future__ import annotations

import random
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.puppets import PuppetVideoSpec, render_frame, sample_portrait
from models.puppets.character.face import landmarks
from models.puppets.character.sampling import sample_character
from models.puppets.drawing.surface import Surface
from models.puppets.motion.expression import VISEMES, Expression
from models.puppets.spec import CharacterSpec

RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS = slice(36, 42), slice(42, 48), slice(48, 60), slice(60, 68)
FACE_IN_BODY = slice(23, 91)


def _character(seed: int) -> CharacterSpec:
    return sample_character(random.Random(seed), "train", "human")


def _points(character: CharacterSpec, expression: Expression) -> np.ndarray:
    head = Surface(np.zeros(3), np.eye(3), (0.1, 0.12, 0.1))
    return landmarks(character, expression, head, None).landmarks


def _heights(eye: np.ndarray) -> np.ndarray:
    return eye[[1, 2], 1] - eye[[5, 4], 1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 500), st.floats(0.0, 1.2), st.floats(0.0, 1.2))
def test_each_eye_opens_as_far_as_its_lids(seed: int, left: float, right: float) -> None:
    character = _character(seed)
    points = _points(character, Expression(eyes_open=(left, right)))
    rest = _points(character, Expression())
    for eye, openness in ((LEFT_EYE, left), (RIGHT_EYE, right)):
        share = _heights(points[eye]) / _heights(rest[eye])
        np.testing.assert_allclose(share, openness, atol=0.2)
        assert (share >= -1e-9).all()
        np.testing.assert_allclose(points[eye][[0, 3], 0], rest[eye][[0, 3], 0], atol=0.002)


@given(st.integers(0, 500), st.floats(0.0, 1.0))
def test_without_detail_the_eyes_keep_their_landmarks_when_they_blink(seed: int, openness: float) -> None:
    character = _character(seed)
    blinking = _points(character, Expression(eyes_open=(openness, openness), detailed=False))
    np.testing.assert_array_equal(blinking, _points(character, Expression(detailed=False)))


def test_mouth_shapes_show_in_the_landmarks() -> None:
    character = _character(3)
    shapes = {}
    for name, (jaw, width, rounding, bite) in VISEMES.items():
        expression = Expression(jaw=jaw, mouth_width=width, rounding=rounding, bite=bite)
        points = _points(character, expression)
        shapes[name] = (np.ptp(points[OUTER_LIPS, 0]), points[62, 1] - points[66, 1])
    assert shapes["U"][0] < shapes["O"][0] < shapes["M"][0] < shapes["E"][0]
    assert shapes["M"][1] < shapes["F"][1] < shapes["E"][1] < min(shapes["O"][1], shapes["A"][1])


@given(st.integers(0, 500), st.sampled_from(sorted(VISEMES)), st.floats(-1.0, 1.2))
def test_lips_enclose_the_opening_of_the_mouth(seed: int, viseme: str, smile: float) -> None:
    jaw, width, rounding, bite = VISEMES[viseme]
    expression = Expression(jaw=jaw, mouth_width=width, rounding=rounding, bite=bite, smile=smile)
    points = _points(_character(seed), expression)
    outer, inner = points[OUTER_LIPS], points[INNER_LIPS]
    assert (outer[1:6, 1] > np.interp(outer[1:6, 0], inner[:5, 0], inner[:5, 1]) - 1e-3).all()
    assert inner[2, 1] > inner[6, 1]
    assert outer[9, 1] < inner[6, 1]


def test_brows_and_smile_move_their_landmarks() -> None:
    character = _character(4)
    rest = _points(character, Expression())
    raised = _points(character, Expression(brow_raise=(1.0, 0.0)))
    assert (raised[22:27, 1] > rest[22:27, 1]).all()  # the left brow
    np.testing.assert_array_equal(raised[17:22], rest[17:22])
    frowning = _points(character, Expression(brow_frown=(1.0, 1.0)))
    assert frowning[22, 1] < rest[22, 1] - 0.005  # the inner end
    assert frowning[21, 1] < rest[21, 1] - 0.005
    smiling, sad = (_points(character, Expression(smile=smile)) for smile in (1.0, -1.0))
    assert smiling[48, 1] > smiling[51, 1] - 0.02 > sad[48, 1]


def _portrait() -> PuppetVideoSpec:
    for seed in range(60):
        spec = sample_portrait(seed, body="human", size_px=(384, 288))
        if spec.character.look.eye_style == "wide":
            return spec
    raise AssertionError("no portrait with wide eyes among the seeds")


@pytest.fixture(scope="module")
def portrait() -> PuppetVideoSpec:
    return _portrait()


def test_the_white_of_the_eyes_is_drawn_inside_their_landmarks(portrait: PuppetVideoSpec) -> None:
    shares = []
    for seconds in np.arange(0.0, 5.0, 0.21):
        frame = render_frame(portrait, float(seconds))
        face = frame.keypoints[FACE_IN_BODY, :2]
        for eye in (RIGHT_EYE, LEFT_EYE):
            ring = np.zeros(frame.rgb.shape[:2], np.uint8)
            cv2.fillPoly(ring, [np.rint(face[eye]).astype(np.int32)], 1)
            x0, y0 = np.floor(face[eye].min(axis=0)).astype(int) - 2
            x1, y1 = np.ceil(face[eye].max(axis=0)).astype(int) + 3
            white = (frame.rgb[y0:y1, x0:x1].min(axis=2) > 235) & (frame.character_mask[y0:y1, x0:x1])
            near = cv2.dilate(ring, np.ones((9, 9)))[y0:y1, x0:x1] > 0
            assert not (white & ~near).any()
            shares.append((int(white.sum()), int(ring.sum())))
    visible, area = np.array(shares).T
    assert np.corrcoef(visible, area)[0, 1] > 0.7


def test_an_open_mouth_is_dark_where_its_landmarks_say(portrait: PuppetVideoSpec) -> None:
    still = replace(portrait, motion=replace(portrait.motion, name="nod"))
    openings, darkness = [], []
    for seconds in np.arange(0.0, 5.0, 0.17):
        frame = render_frame(still, float(seconds))
        face = frame.keypoints[FACE_IN_BODY, :2]
        x, y = (0.35 * face[62] + 0.65 * face[66]).round().astype(int)
        openings.append(face[66, 1] - face[62, 1])
        skin = np.array(portrait.character.look.skin, dtype=float)
        darkness.append(np.abs(frame.rgb[y, x] - skin).sum())
    opened = np.array(openings) > 9.0
    assert opened.sum() > 5
    assert (np.array(darkness)[opened] > 60.0).all()
