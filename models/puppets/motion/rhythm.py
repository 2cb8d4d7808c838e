"""Oscillators that motions are made of. Phases are in cycles."""

from __future__ import annotations

import math

from models.puppets.motion.pose import Triple


def sine(phase: float) -> float:
    """-1 to 1, 0 at phase 0 and rising."""
    return math.sin(2.0 * math.pi * phase)


def cosine(phase: float) -> float:
    """-1 to 1, 1 at phase 0."""
    return math.cos(2.0 * math.pi * phase)


def ramp(value: float) -> float:
    """Smooth step from 0 to 1 over 0..1."""
    value = min(max(value, 0.0), 1.0)
    return value * value * (3.0 - 2.0 * value)


def hold(phase: float, sharpness: float = 3.0) -> float:
    """A wave between -1 and 1 that rests at both ends."""
    return math.tanh(sharpness * sine(phase)) / math.tanh(sharpness)


def mix(a: Triple, b: Triple, share: float) -> Triple:
    """From `a` (share 0) to `b` (share 1)."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)
