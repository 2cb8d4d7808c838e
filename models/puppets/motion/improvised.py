"""Random poses with smooth transitions, for training data beyond the authored motions."""

from __future__ import annotations

import math
import random
from copy import copy
from dataclasses import fields
from typing import TypeVar

from models.puppets.motion.pose import REST_ARM, Pose, Side
from models.puppets.motion.rhythm import mix, ramp

PartT = TypeVar("PartT", Pose, Side)

PHASES = 1_000_000
"""Number of whole phases with distinct poses; poses repeat after it."""


def improvise(p: float, a: float) -> Pose:
    """Interpolation between random poses at whole phases; the phase is the seed of its pose."""
    beat = math.floor(p)
    return _between(_pose(beat, a), _pose(beat + 1, a), ramp(1.25 * (p - beat)))


def _pose(beat: int, a: float) -> Pose:
    rng = random.Random(f"improvise-{beat % PHASES}")
    left, right = _arm(rng, a), _arm(rng, a)
    if rng.random() < 0.25:
        right.hand, right.elbow = left.hand, left.elbow
    forwards = _place_feet(rng, left, right, a)
    lean = rng.uniform(-0.3, 1.1) if rng.random() < 0.2 else rng.gauss(0.03, 0.12)
    return Pose(
        left=left,
        right=right,
        root=(0.0, rng.uniform(0.0, 0.1) if rng.random() < 0.2 else 0.0, 0.0),
        yaw=rng.uniform(-math.pi, math.pi) if rng.random() < 0.3 else rng.gauss(0.0, 0.4),
        sway=rng.uniform(-0.06, 0.06),
        crouch=rng.uniform(0.0, 0.45) if rng.random() < 0.3 else rng.uniform(0.0, 0.1),
        lean=lean - rng.uniform(0.0, 0.45) * forwards,  # the torso counterbalances a lifted leg
        tilt=rng.uniform(-0.3, 0.3) * a,
        twist=rng.uniform(-0.6, 0.6) * a,
        head_yaw=rng.uniform(-0.5, 0.5),
        head_pitch=rng.uniform(-0.3, 0.3),
        head_roll=rng.uniform(-0.25, 0.25),
        mouth=rng.uniform(0.0, 1.0) * rng.random(),
        brows=rng.uniform(-0.5, 1.0),
    )


def _arm(rng: random.Random, a: float) -> Side:
    """Random arm: hand at rest, low with a nearly stretched arm, or anywhere within reach."""
    side = Side(curl=rng.random(), palm=rng.uniform(-0.6, 0.6))
    side.pointing = 1.0 if rng.random() < 0.15 else 0.0
    chance = rng.random()
    if chance < 0.1:
        side.hand = REST_ARM
        return side
    if chance < 0.4:
        way = (rng.uniform(-0.55, 0.6), -0.85, rng.uniform(-0.5, 0.6))
        reach = rng.uniform(0.8, 1.0)
    else:
        way = (rng.uniform(-0.6, 1.0), rng.uniform(-1.0, 1.0), rng.uniform(-0.5, 0.9))
        reach = rng.uniform(0.45, 1.0) * min(a, 1.0)
    reach /= max(math.hypot(*way), 1e-6)
    side.hand = (way[0] * reach, way[1] * reach, way[2] * reach)
    side.elbow = (rng.uniform(-0.1, 1.0), rng.uniform(-1.0, 0.5), rng.uniform(-1.0, 0.2))
    return side


def _place_feet(rng: random.Random, left: Side, right: Side, a: float) -> float:
    """Place both feet on the floor, or lift one of them. Returns the forward offset of the lifted foot, else 0."""
    apart = rng.uniform(0.0, 0.35) if rng.random() < 0.5 else 0.0
    stride = rng.uniform(-0.3, 0.3) if rng.random() < 0.5 else 0.0
    left.foot, right.foot = (apart, 0.0, stride), (apart, 0.0, -stride)
    if rng.random() < 0.5:
        return 0.0
    lifted = rng.choice((left, right))
    forwards = rng.uniform(-0.5, 0.8) * a
    lifted.foot = (rng.uniform(-0.1, 0.5) * a, rng.uniform(0.05, 0.6) * a, forwards)
    lifted.toes = rng.uniform(-0.2, 0.9)
    return forwards


def _between(first: PartT, second: PartT, share: float) -> PartT:
    """Interpolate all fields from the first pose (share 0) to the second (share 1)."""
    between = copy(first)
    for name in (field.name for field in fields(first)):
        a, b = getattr(first, name), getattr(second, name)
        if isinstance(a, Side):
            setattr(between, name, _between(a, b, share))
        else:
            setattr(between, name, mix(a, b, share) if isinstance(a, tuple) else a + (b - a) * share)
    return between
