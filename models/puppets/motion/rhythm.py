"""Oscillators and interpolation for motions. Phases are in cycles."""

from __future__ import annotations

import math

from models.puppets.motion.pose import Triple


def sine(phase: float) -> float:
    """Sine of a phase in cycles."""
    return math.sin(2.0 * math.pi * phase)


def cosine(phase: float) -> float:
    """Cosine of a phase in cycles."""
    return math.cos(2.0 * math.pi * phase)


def ramp(value: float) -> float:
    """Smoothstep from 0 to 1 over [0, 1]."""
    value = min(max(value, 0.0), 1.0)
    return value * value * (3.0 - 2.0 * value)


def hold(phase: float, sharpness: float = 3.0) -> float:
    """Sine wave flattened at its extremes, -1 and 1."""
    return math.tanh(sharpness * sine(phase)) / math.tanh(sharpness)


def mix(a: Triple, b: Triple, share: float) -> Triple:
    """Linear interpolation from `a` (share 0) to `b` (share 1)."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)
