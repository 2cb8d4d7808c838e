from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.puppets.motion.expression import VISEMES, Expression, expression_at, expression_of_pose
from models.puppets.motion.pose import Pose, Side
from models.puppets.spec import SpeechSpec

SPEECH = SpeechSpec(seed=5, syllables_per_second=2.5, emotion_seconds=1.2, amplitude=1.0)


def _values(expression: Expression) -> np.ndarray:
    return np.hstack([np.ravel(value) for value in astuple(expression)])


def _over(seconds: float, speech: SpeechSpec = SPEECH) -> list[Expression]:
    return [expression_at(speech, index / 50.0) for index in range(round(50.0 * seconds))]


@given(st.integers(0, 1 << 30), st.floats(0.0, 60.0), st.floats(1.5, 3.5))
def test_expressions_change_smoothly(seed: int, seconds: float, rate: float) -> None:
    speech = replace(SPEECH, seed=seed, syllables_per_second=rate)
    before, after = (_values(expression_at(speech, moment)) for moment in (seconds, seconds + 0.002))
    assert np.abs(after - before).max() < 0.06


def test_a_talking_mouth_opens_closes_purses_and_widens() -> None:
    spoken = _over(8.0)
    assert min(expression.jaw for expression in spoken) < 0.02
    assert max(expression.jaw for expression in spoken) > 0.6
    assert min(expression.mouth_width for expression in spoken) < 0.7
    assert max(expression.mouth_width for expression in spoken) > 1.2
    assert max(expression.rounding for expression in spoken) > 0.8
    assert max(expression.bite for expression in spoken) > 0.8


@pytest.mark.parametrize("seed", range(6))
def test_every_few_syllables_the_lips_meet_and_the_mouth_pauses(seed: int) -> None:
    speech = replace(SPEECH, seed=seed)
    closed = [expression.jaw < 0.25 for expression in _over(6.0, speech)]
    assert 0.15 < np.mean(closed) < 0.85
    openings = np.diff(np.array([expression.jaw for expression in _over(6.0, speech)]) > 0.3).sum()
    assert openings >= 8


def test_eyes_blink_and_look_about_and_brows_move_unevenly() -> None:
    seen = _over(10.0)
    assert min(expression.eyes_open[0] for expression in seen) < 0.05
    assert np.median([expression.eyes_open[0] for expression in seen]) > 0.65
    assert np.ptp([expression.gaze[0] for expression in seen]) > 0.5
    left, right = np.array([expression.brow_raise for expression in seen]).T
    assert np.ptp(left) > 0.8
    assert np.abs(left - right).max() > 0.2


def test_emotions_change_smile_and_brows() -> None:
    smiles = [expression.smile for expression in _over(30.0)]
    frowns = [expression.brow_frown[0] for expression in _over(30.0)]
    assert min(smiles) < -0.5 < 0.9 < max(smiles)
    assert min(frowns) < -0.8 < 0.8 < max(frowns)


def test_the_seed_determines_the_expression() -> None:
    assert expression_at(SPEECH, 1.7) == expression_at(replace(SPEECH), 1.7)
    assert _over(2.0) != _over(2.0, replace(SPEECH, seed=6))


def test_visemes_differ_from_one_another() -> None:
    shapes = np.array(list(VISEMES.values()))
    distances = np.abs(shapes[:, None] - shapes[None]).max(axis=2) + np.eye(len(shapes))
    assert distances.min() > 0.07


def test_a_motion_without_speech_keeps_its_own_mouth_and_blink() -> None:
    pose = Pose(left=Side(), right=Side(), mouth=0.6, blink=1.0, brows=-0.4)
    expression = expression_of_pose(pose, 0.8)
    assert (expression.jaw, expression.smile, expression.eyes_open) == (0.6, 0.8, (0.0, 0.0))
    assert expression.brow_raise == (-0.4, -0.4)
    assert not expression.detailed
