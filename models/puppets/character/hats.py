"""Drawing of hats and other headwear."""

from __future__ import annotations

import math

import numpy as np

from models.puppets.character.skull import Skull, tilted
from models.puppets.drawing.colours import lighter
from models.puppets.drawing.layers import Layer
from models.puppets.drawing.outlines import convex_hull
from models.puppets.drawing.surface import Points, Surface
from models.puppets.spec import Colour

_WOOL: Colour = (246, 244, 238)


def draw_hat(skull: Skull) -> None:
    """Draw the headwear of the character."""
    head, look = skull.surface, skull.look
    layer = skull.drawing.layer(skull.key + 2e-4, "hat")
    if look.hat == "bow":
        _bow(layer, head, look.hat_colour)
    elif look.hat == "flower":
        _flower(layer, head, look.hat_colour)
    elif look.hat == "headphones":
        _headphones(layer, head, look.hat_colour)
    elif look.hat == "leaf":
        _leaf(layer, head, look.hat_colour)
    else:
        _crowned_hat(layer, head, look.hat, look.hat_colour)


def _ring(head: Surface, height: float, share: float, count: int = 18, forward: float = 0.0) -> Points:
    """Horizontal ring (n, 3) around the head; height and radius relative to the half-axes."""
    angle = np.linspace(0.0, 2.0 * math.pi, count, endpoint=False)
    local = np.stack((share * np.cos(angle), np.full(count, height), share * np.sin(angle) + forward), axis=1)
    return head.centre + local @ head.scaled.T


def _crowned_hat(layer: Layer, head: Surface, kind: str, colour: Colour) -> None:
    z = float(head.centre[2])
    band = lighter(colour)
    if kind in {"cap", "beanie", "helmet"}:
        dome = np.concatenate(
            [_ring(head, 0.42 + 0.75 * math.sin(a), 1.04 * math.cos(a) + 0.02) for a in (0, 0.5, 1.0, 1.5)]
        )
        if kind == "cap":
            layer.hull(
                np.concatenate((_ring(head, 0.40, 0.8, forward=0.62), _ring(head, 0.46, 0.8, forward=0.5))), z, band
            )
            layer.sub()
        layer.hull(dome, z, colour)
        if kind == "beanie":
            layer.sub()
            layer.hull(np.concatenate((_ring(head, 0.34, 1.07), _ring(head, 0.56, 1.05))), z, band)
            layer.ellipsoid(head.point(0.0, 1.22, 0.0), head.axes * (0.22 * float(head.radii.mean())), _WOOL)
    elif kind in {"top_hat", "straw", "cowboy"}:
        brim = {"top_hat": 1.3, "straw": 1.65, "cowboy": 1.6}[kind]
        tall = {"top_hat": 1.75, "straw": 1.15, "cowboy": 1.3}[kind]
        layer.hull(np.concatenate((_ring(head, 0.56, brim), _ring(head, 0.62, brim))), z, colour)
        layer.sub()
        crown = 0.88 if kind != "cowboy" else 0.7
        layer.hull(np.concatenate((_ring(head, 0.62, 0.9), _ring(head, tall, crown))), z, colour)
        layer.hull(np.concatenate((_ring(head, 0.62, 0.91), _ring(head, 0.8, 0.9))), z, _ribbon(colour), outline=False)
    elif kind in {"cone", "wizard"}:
        tip = 2.0 if kind == "cone" else 2.3
        if kind == "wizard":
            layer.hull(np.concatenate((_ring(head, 0.5, 1.45), _ring(head, 0.54, 1.45))), z, colour)
            layer.sub()
        share = 0.72 if kind == "cone" else 0.95
        low = 0.68 if kind == "cone" else 0.52
        layer.hull(np.concatenate((_ring(head, low, share), _ring(head, tip, 0.03, count=6))), z, colour)
        stripe = [_ring(head, low + (tip - low) * t, share * (1.0 - t) + 0.03 * t) for t in (0.3, 0.48)]
        layer.decal(convex_hull(np.concatenate(stripe)), band)
        layer.ellipsoid(head.point(0.0, tip, 0.0), head.axes * (0.14 * float(head.radii.mean())), band)
    elif kind == "crown":
        layer.hull(np.concatenate((_ring(head, 0.62, 0.8), _ring(head, 0.92, 0.88))), z, colour)
        for index in range(7):
            a = index * 2.0 * math.pi / 7.0
            foot = [(0.86 * math.sin(a + o), 0.88, 0.86 * math.cos(a + o)) for o in (-0.35, 0.35)]
            spike = [head.point(*f) for f in (*foot, (0.92 * math.sin(a), 1.28, 0.92 * math.cos(a)))]
            layer.hull(np.stack(spike), z, colour)


def _ribbon(colour: Colour) -> Colour:
    """Colour of a hat's ribbon."""
    return int(colour[0] * 0.55), int(colour[1] * 0.5), int(colour[2] * 0.55)


def _bow(layer: Layer, head: Surface, colour: Colour) -> None:
    middle = head.point(0.45, 0.98, 0.25)
    mean = float(head.radii.mean())
    for sign in (-1.0, 1.0):
        wing = middle + head.axes @ np.array((sign * 0.3 * mean, 0.06 * mean, 0.0))
        layer.ellipsoid(wing, tilted(head.axes, sign * 0.3) * (0.28 * mean, 0.2 * mean, 0.1 * mean), colour)
    layer.sub()
    layer.ellipsoid(middle, head.axes * (0.11 * mean), lighter(colour))


def _flower(layer: Layer, head: Surface, colour: Colour) -> None:
    middle = head.point(0.62, 0.72, 0.45)
    mean = float(head.radii.mean())
    for index in range(5):
        a = index * 2.0 * math.pi / 5.0
        petal = middle + head.axes @ np.array((0.17 * mean * math.cos(a), 0.17 * mean * math.sin(a), 0.0))
        layer.ellipsoid(petal, head.axes * (0.13 * mean), colour, shade=False)
    layer.sub()
    layer.ellipsoid(middle, head.axes * (0.1 * mean), (250, 206, 70), outline=False)


def _headphones(layer: Layer, head: Surface, colour: Colour) -> None:
    angle = np.linspace(0.0, math.pi, 13)
    outer = [head.point(1.16 * math.cos(a), 1.14 * math.sin(a), 0.0) for a in angle]
    inner = [head.point(1.04 * math.cos(a), 1.02 * math.sin(a), 0.0) for a in angle[::-1]]
    layer.polygon(np.stack(outer + inner), float(head.centre[2]), _ribbon(colour))
    mean = float(head.radii.mean())
    for sign in (-1.0, 1.0):
        pad = head.point(sign * 1.05, -0.02, 0.0)
        if pad[2] > head.centre[2] - 0.35 * head.radii[0]:
            layer.ellipsoid(pad, head.axes * (0.16 * mean, 0.3 * mean, 0.28 * mean), colour)


def _leaf(layer: Layer, head: Surface, colour: Colour) -> None:
    """Draw the stalk and leaves of a fruit."""
    mean = float(head.radii.mean())
    layer.capsule(head.point(0.0, 0.93, 0.0), head.point(0.06, 1.22, 0.0), 0.05 * mean, 0.06 * mean, (120, 84, 48))
    layer.sub()
    for angle in (-1.15, 1.15, -0.4):
        centre = head.point(0.0, 1.0, 0.1) + head.axes @ np.array((0.22 * mean * math.sin(angle), 0.02 * mean, 0.0))
        layer.ellipsoid(centre, tilted(head.axes, angle) * (0.1 * mean, 0.25 * mean, 0.1 * mean), colour)
