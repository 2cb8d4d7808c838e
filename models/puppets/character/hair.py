"""Drawing of hair behind the head and over it."""

from __future__ import annotations

import math

import numpy as np

from models.puppets.character.skull import Skull
from models.puppets.drawing.colours import lighter
from models.puppets.drawing.surface import Points, Surface


def draw_back_hair(skull: Skull) -> None:
    """Draw the hair behind the skull."""
    drawing, head, key, look, mean = skull.drawing, skull.surface, skull.key, skull.look, skull.size
    w, h, d = head.radii
    centre = head.point(0.0, 0.1, -0.16)
    # If the character faces the camera, hair at the back of the head is behind the torso.
    back_key = skull.torso_key - 0.015 if head.axes[2, 2] > -0.1 else key + 5e-5
    layer = drawing.layer(back_key, "hair")
    if look.hair == "afro":
        layer.ellipsoid(head.point(0.0, 0.3, -0.15), head.axes * (1.45 * w, 1.3 * h, 1.35 * d), look.hair_colour)
    elif look.hair in {"long", "bob", "curly"}:
        low = {"long": -1.45, "bob": -0.75, "curly": -0.9}[look.hair]
        lock = mean * (0.42 if look.hair != "curly" else 0.5)
        for sign in (1.0, -1.0):
            layer.capsule(
                head.point(sign * 0.72, 0.2, -0.3),
                head.point(sign * 0.78, low, -0.35),
                0.5 * mean,
                lock,
                look.hair_colour,
                shade=False,
            )
        layer.capsule(centre, head.point(0.0, low, -0.4), 0.9 * mean, 0.62 * mean, look.hair_colour, shade=False)
        layer.ellipsoid(centre, head.axes * (1.1 * w, 1.06 * h, 1.1 * d), look.hair_colour)
    else:
        layer.ellipsoid(centre, head.axes * (1.07 * w, 1.04 * h, 1.08 * d), look.hair_colour)
    if look.hair == "ponytail":
        tail = drawing.layer(back_key - 1e-4 if head.axes[2, 2] > 0.0 else back_key + 1e-4, "hair")
        tail.capsule(
            head.point(0.0, 0.55, -1.05), head.point(0.0, -0.9, -1.5), 0.34 * mean, 0.2 * mean, look.hair_colour
        )
    if look.hair == "buns":
        for sign in (1.0, -1.0):
            bun = head.point(sign * 0.68, 0.95, -0.2)
            drawing.layer(key - 6e-5, "hair").ellipsoid(bun, head.axes * (0.38 * mean), look.hair_colour)
    if look.hair == "pigtails":
        for sign in (1.0, -1.0):
            root, end = head.point(sign * 1.05, 0.25, -0.2), head.point(sign * 1.4, -0.8, -0.1)
            tail = drawing.layer(skull.key_beside(root), "hair")
            tail.capsule(root, end, 0.24 * mean, 0.3 * mean, look.hair_colour)


def draw_front_hair(skull: Skull) -> None:
    """Draw the hair over the skull, from the hairline over the top to the back."""
    head, look = skull.surface, skull.look
    layer = skull.drawing.layer(skull.key + 1e-4, "hair")
    if look.hair == "mohawk":
        for angle in np.linspace(0.75, 2.7, 6):
            root = head.point(0.0, 0.92 * math.sin(angle), 0.92 * math.cos(angle))
            tip = head.point(0.0, 1.42 * math.sin(angle), 1.32 * math.cos(angle))
            layer.capsule(root, tip, 0.22 * skull.size, 0.04 * skull.size, look.hair_colour, shade=False)
        return
    hair = Surface(head.centre, head.axes, (1.02 * head.radii[0], 1.02 * head.radii[1], 1.02 * head.radii[2]))
    lon = np.linspace(-math.pi, math.pi, 60, endpoint=False)
    line = hair.directions(np.stack((lon, _hairline(look.hair, lon)), axis=1))
    cap = hair.patch(line, inside=np.array((0.0, 1.0, 0.0)))
    if cap is not None:
        layer.polygon(cap, float(head.centre[2]), look.hair_colour, outline=False)
    shine = lighter(look.hair_colour)
    band = np.stack((np.linspace(-0.75, 0.05, 8), np.full(8, 1.03)), axis=1)
    under = np.stack((np.linspace(0.05, -0.75, 8), np.full(8, 0.95)), axis=1)
    gleam = hair.patch(hair.directions(np.concatenate((band, under))))
    if gleam is not None and hair.facing(-0.35, 0.95) > 0.15:
        layer.decal(gleam, shine, convex=False)


def _hairline(style: str, lon: Points) -> Points:
    """Latitude of the lower edge of the hair at each longitude."""
    away = np.abs(lon)
    sides = 1.0 / (1.0 + np.exp(-(away - 1.05) * 9.0))
    behind = 1.0 / (1.0 + np.exp(-(away - 1.9) * 9.0))
    low = {"long": -0.5, "bob": -0.45, "curly": -0.4}.get(style, -0.05)
    if style in {"spiky", "curly", "buns"}:
        fringe = 0.6 + 0.14 * np.abs(((lon * 2.6) % 2.0) - 1.0)
    elif style in {"bob", "pigtails"}:
        fringe = np.full_like(lon, 0.55)
    else:
        fringe = 0.74 - 0.2 * np.tanh(2.0 * (lon + 0.3))
    front = fringe * (1.0 - sides) + low * sides
    return np.asarray(front * (1.0 - behind) - 0.75 * behind)
