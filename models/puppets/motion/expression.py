"""Facial expressions: shape of mouth, eyes and brows, at rest and as a function of time while a character talks."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache

from models.puppets.motion.pose import Pose
from models.puppets.motion.rhythm import ramp
from models.puppets.spec import SpeechSpec

Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    """Expression of a face. Pairs are (left, right), the character's own.

    `detailed`: lips are drawn and the landmarks of the eyes follow the lids. Otherwise only a blink shuts the eyes, and
    their landmarks stay where the open eye is.
    """

    jaw: float = 0.0  # 0 closed, 1 wide open
    mouth_width: float = 1.0  # relative to the mouth at rest
    rounding: float = 0.0  # 1: pursed lips around a round opening
    bite: float = 0.0  # 1: the upper teeth on the lower lip, as in F
    smile: float = 0.5  # below 0: corners of the mouth down
    brow_raise: Pair = (0.0, 0.0)  # -1 lowered, 1 raised
    brow_frown: Pair = (0.0, 0.0)  # 1: inner ends down, -1: inner ends up
    eyes_open: Pair = (1.0, 1.0)  # 0 shut, 1 at rest, 1.2 wide
    gaze: Pair = (0.0, -1.0)  # towards the character's left, in quarters of the eye's half-width; up, in tenths
    detailed: bool = True


def expression_of_pose(pose: Pose, smile: float) -> Expression:
    """Expression that a motion itself has, with a constant smile."""
    openness = 1.0 - pose.blink
    return Expression(
        jaw=pose.mouth,
        smile=smile,
        brow_raise=(pose.brows, pose.brows),
        eyes_open=(openness, openness),
        gaze=(math.sin(pose.head_yaw), -1.0),
        detailed=False,
    )


VISEMES = {
    # jaw, width, rounding, bite
    "rest": (0.0, 1.0, 0.0, 0.0),
    "A": (0.85, 1.05, 0.1, 0.0),
    "E": (0.38, 1.3, 0.0, 0.0),
    "O": (0.62, 0.68, 0.9, 0.0),
    "U": (0.24, 0.5, 1.0, 0.0),
    "M": (0.0, 0.92, 0.0, 0.0),
    "F": (0.16, 1.0, 0.0, 1.0),
}
"""Shapes of the mouth by sound: jaw, width, rounding and bite."""
_VOWELS = ("A", "A", "E", "O", "U")
_CONSONANTS = ("M", "M", "F", "E", "U")

_EMOTIONS = {
    # smile, brow raise, brow frown, eye openness, jaw
    "calm": (0.35, 0.0, 0.0, 1.0, 0.0),
    "happy": (1.25, 0.45, -0.1, 0.84, 0.08),
    "surprised": (0.1, 1.25, -0.2, 1.2, 0.22),
    "angry": (-0.7, -0.7, 1.1, 0.78, 0.0),
    "sad": (-0.9, 0.15, -1.1, 0.72, 0.0),
}
"""Emotions: smile, raise and frown of the brows, openness of the eyes, opening of the jaw."""
_SLOTS_PER_PHRASE = 9
_BLINK_SLOT_SECONDS, _BLINK_SECONDS = 2.4, 0.3
_GAZE_SLOT_SECONDS = 1.1

_Shape = tuple[float, ...]


def expression_at(speech: SpeechSpec, seconds: float) -> Expression:
    """Expression of a talking character at a time: syllables with closed lips, blinks, glances and emotions."""
    jaw, width, rounding, bite = _mouth(speech, seconds)
    smile, raised, frown, openness, drop = _emotion(speech, seconds)
    lift_left, lift_right = _uneven_brows(speech, seconds)
    lids = openness * (1.0 - _blink(speech, seconds))
    a = speech.amplitude
    return Expression(
        jaw=min(a * jaw + drop, 1.0),
        mouth_width=1.0 + a * (width - 1.0) + 0.08 * max(smile, 0.0),
        rounding=min(a * rounding, 1.0),
        bite=bite,
        smile=smile,
        brow_raise=(a * raised + lift_left, a * raised + lift_right),
        brow_frown=(a * frown, a * frown),
        eyes_open=(lids, lids),
        gaze=_gaze(speech, seconds),
    )


def _mixed(a: _Shape, b: _Shape, share: float) -> _Shape:
    return tuple(x + (y - x) * share for x, y in zip(a, b, strict=True))


def _mouth(speech: SpeechSpec, seconds: float) -> _Shape:
    """Shape of the mouth: from the syllable's consonant to its vowel and on to the next syllable."""
    place = seconds * speech.syllables_per_second
    slot = math.floor(place)
    share = place - slot
    consonant, vowel = _syllable(speech.seed, slot)
    if share < 0.55:
        return _mixed(consonant, vowel, ramp((share - 0.12) / 0.34))
    return _mixed(vowel, _syllable(speech.seed, slot + 1)[0], ramp((share - 0.66) / 0.34))


@lru_cache(maxsize=1024)
def _syllable(seed: int, slot: int) -> tuple[_Shape, _Shape]:
    """Shapes of a syllable's consonant and vowel. Every phrase ends with a pause."""
    phrase = slot // _SLOTS_PER_PHRASE
    pause = random.Random(f"pause-{seed}-{phrase}").choice((1, 2, 2, 3))
    if slot % _SLOTS_PER_PHRASE >= _SLOTS_PER_PHRASE - pause:
        return VISEMES["rest"], VISEMES["rest"]
    rng = random.Random(f"syllable-{seed}-{slot}")
    consonant, vowel = VISEMES[rng.choice(_CONSONANTS)], VISEMES[rng.choice(_VOWELS)]
    strength = rng.uniform(0.8, 1.1)
    return consonant, (strength * vowel[0], *vowel[1:])


def _emotion(speech: SpeechSpec, seconds: float) -> _Shape:
    place = seconds / speech.emotion_seconds
    slot = math.floor(place)
    return _mixed(_emotion_of(speech.seed, slot), _emotion_of(speech.seed, slot + 1), ramp((place - slot - 0.6) / 0.4))


@lru_cache(maxsize=1024)
def _emotion_of(seed: int, slot: int) -> _Shape:
    return _EMOTIONS[random.Random(f"emotion-{seed}-{slot}").choice(sorted(_EMOTIONS))]


def _uneven_brows(speech: SpeechSpec, seconds: float) -> Pair:
    """Lift of the left and the right brow, with which a character stresses words."""
    phase = (speech.seed % 97) / 97.0
    beat = 2.0 * math.pi * (0.42 * speech.syllables_per_second * seconds + phase)
    return 0.3 * math.sin(beat) * speech.amplitude, 0.3 * math.sin(1.3 * beat) * speech.amplitude


def _blink(speech: SpeechSpec, seconds: float) -> float:
    """Closure of the lids by a blink: 0 open, 1 shut."""
    slot = math.floor(seconds / _BLINK_SLOT_SECONDS)
    start = random.Random(f"blink-{speech.seed}-{slot}").uniform(0.1, _BLINK_SLOT_SECONDS - _BLINK_SECONDS)
    share = (seconds - slot * _BLINK_SLOT_SECONDS - start) / _BLINK_SECONDS
    if not 0.0 < share < 1.0:
        return 0.0
    return ramp(3.0 * share) * ramp(3.0 * (1.0 - share))


def _gaze(speech: SpeechSpec, seconds: float) -> Pair:
    place = seconds / _GAZE_SLOT_SECONDS
    slot = math.floor(place)
    now, following = _glance(speech.seed, slot), _glance(speech.seed, slot + 1)
    left, up = _mixed(now, following, ramp((place - slot - 0.8) / 0.2))
    return left, up


@lru_cache(maxsize=1024)
def _glance(seed: int, slot: int) -> Pair:
    rng = random.Random(f"glance-{seed}-{slot}")
    if rng.random() < 0.5:
        return 0.0, 0.0
    return rng.uniform(-1.2, 1.2), rng.uniform(-1.5, 1.5)
