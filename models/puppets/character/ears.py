"""Drawing of ears of people, animals and robots."""

from __future__ import annotations

import math

import numpy as np

from models.puppets.character.skull import Skull, tilted
from models.puppets.drawing.geometry import Vector

_ROUND_EARED = {"bear": 0.34, "mouse": 0.62, "panda": 0.36, "koala": 0.5, "monkey": 0.42}
_POINTED_EARS = {"cat": 0.55, "fox": 0.68, "wolf": 0.62, "pig": 0.42}
_LONG_EARED = {"rabbit": 1.15, "hare": 0.95}
_DARK_EARS = frozenset({"panda"})


def draw_ears(skull: Skull) -> None:
    """Draw both ears."""
    drawing, head, key, look, mean = skull.drawing, skull.surface, skull.key, skull.look, skull.size
    for sign in (1.0, -1.0):
        side = "left" if sign > 0 else "right"
        if look.species in {"human", "elf"}:
            centre = head.point(sign * 0.98, -0.02, -0.05)
            layer = drawing.layer(skull.key_beside(centre), f"{side}_ear")
            layer.ellipsoid(centre, head.axes * (0.12 * mean, 0.22 * mean, 0.16 * mean), look.skin)
        elif look.species in _ROUND_EARED:
            size = _ROUND_EARED[look.species]
            out = 0.72 if size < 0.45 else 0.9
            centre = head.point(sign * out, 0.72 if look.species != "monkey" else 0.05, -0.1)
            colour = look.accent if look.species in _DARK_EARS else look.skin
            layer = drawing.layer(skull.key_beside(centre), f"{side}_ear")
            axes = head.axes * (size * mean, size * mean, 0.14 * mean)
            layer.ellipsoid(centre, axes, colour)
            if float(head.axes[2, 2]) > 0.1:
                layer.ellipsoid(centre + head.axes[:, 2] * 0.02, axes * 0.6, look.accent, outline=False, shade=False)
        elif look.species in _POINTED_EARS:
            size = _POINTED_EARS[look.species] * mean
            base = head.point(sign * 0.62, 0.66, 0.05)
            tip = base + head.axes @ np.array((sign * 0.45 * size, 1.25 * size, -0.1 * size))
            _pointed_ear(skull, side, base, tip, half=0.55 * size)
        elif look.species in _LONG_EARED:
            size = _LONG_EARED[look.species]
            centre = head.point(sign * 0.42, 1.0 + 0.62 * size, -0.1)
            layer = drawing.layer(key - 5e-5, f"{side}_ear")
            axes = tilted(head.axes, sign * 0.16) * (0.23 * mean, 0.82 * size * mean, 0.12 * mean)
            layer.ellipsoid(centre, axes, look.skin)
            if float(head.axes[2, 2]) > 0.1:
                layer.ellipsoid(centre, axes * (0.55, 0.75, 1.0), look.accent, outline=False, shade=False)
        elif look.species in {"dog", "cow", "sheep"}:
            centre = head.point(sign * 1.0, 0.1 if look.species == "dog" else 0.4, 0.0)
            layer = drawing.layer(skull.key_beside(centre) + 1e-4, f"{side}_ear")
            drop = 0.5 if look.species == "dog" else 0.22
            axes = tilted(head.axes, sign * (0.25 if drop > 0.4 else 1.2)) * (0.24 * mean, drop * mean, 0.16 * mean)
            layer.ellipsoid(centre, axes, look.accent)
        elif look.species == "frog":
            centre = head.point(sign * 0.48, 0.86, 0.2)
            layer = drawing.layer(key - 5e-5, f"{side}_ear")
            layer.ellipsoid(centre, head.axes * (0.34 * mean), look.skin)
        elif look.species == "robot":
            layer = drawing.layer(skull.key_beside(head.point(sign, 0.0, 0.0)), f"{side}_ear")
            a, b = head.point(sign * 0.9, 0.0, 0.0), head.point(sign * 1.18, 0.0, 0.0)
            layer.capsule(a, b, 0.2 * mean, 0.16 * mean, look.accent)


def _pointed_ear(skull: Skull, side: str, base: Vector, tip: Vector, *, half: float) -> None:
    head, look = skull.surface, skull.look
    layer = skull.drawing.layer(skull.key - 5e-5, f"{side}_ear")
    angle = np.linspace(0.0, 2.0 * math.pi, 10, endpoint=False)
    ring = np.stack((np.cos(angle) * half, np.zeros(10), np.sin(angle) * half * 0.5), axis=1) @ head.axes.T
    crown = tip + 0.12 * ring
    layer.hull(np.concatenate((base + ring, crown)), float(base[2]), look.skin)
    if float(head.axes[2, 2]) > 0.2:
        inner = np.concatenate((base + 0.55 * ring, base + 0.75 * (tip - base) + 0.04 * ring))
        layer.hull(inner, float(base[2]), look.accent, outline=False)
