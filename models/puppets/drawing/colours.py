"""Arithmetic on colours."""

from __future__ import annotations

from models.puppets.spec import Colour

WHITE: Colour = (252, 252, 248)


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """Linear interpolation from `a` (share 0) to `b` (share 1)."""
    keep = 1.0 - share
    return int(a[0] * keep + b[0] * share), int(a[1] * keep + b[1] * share), int(a[2] * keep + b[2] * share)


def scaled(colour: Colour, factor: float) -> Colour:
    """Brighten (factor above 1) or darken, clipped to 255."""
    return min(int(colour[0] * factor), 255), min(int(colour[1] * factor), 255), min(int(colour[2] * factor), 255)


def lighter(colour: Colour) -> Colour:
    """Highlight colour."""
    return mixed(colour, (255, 255, 255), 0.35)


def shadow(colour: Colour) -> Colour:
    """Shaded colour: darker and slightly bluer."""
    return int(colour[0] * 0.74), int(colour[1] * 0.74), int(colour[2] * 0.82)
