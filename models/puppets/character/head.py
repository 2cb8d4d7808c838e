"""Drawing of the head: skull, muzzle, face, hair and headwear."""

from __future__ import annotations

import math

import numpy as np

from models.puppets.character.ears import draw_ears
from models.puppets.character.face import Face, draw_face, landmarks, nose_ball
from models.puppets.character.hair import draw_back_hair, draw_front_hair
from models.puppets.character.hats import draw_hat
from models.puppets.character.skull import Skull, muzzle_surface
from models.puppets.drawing.geometry import Vector
from models.puppets.drawing.layers import Layer
from models.puppets.drawing.surface import Surface
from models.puppets.motion.expression import Expression
from models.puppets.spec import CharacterSpec, Colour

_BEAKED = frozenset({"chick", "penguin"})


def draw_head(skull: Skull, expression: Expression) -> tuple[Face, tuple[Vector, Vector]]:
    """Draw a head. Returns the face's landmarks and the two ears (left, right)."""
    look, head = skull.look, skull.surface
    muzzle = muzzle_surface(skull.character, head)
    draw_ears(skull)
    if look.hair != "none":
        draw_back_hair(skull)
    layer = skull.drawing.layer(skull.key, "head")
    nosed = muzzle is None and look.species not in _BEAKED and look.species != "robot"
    nose, nose_size, nose_colour = nose_ball(skull.character, head)
    if nosed:
        layer.ellipsoid(nose, head.axes * nose_size, look.skin, shade=False)
        layer.sub()
    layer.ellipsoid(head.centre, head.scaled, look.skin)
    if look.face_on_body:
        _skin_marks(layer, skull.character, head)
    _face_mask(layer, skull.character, head)
    if muzzle is not None:
        _muzzle(layer, skull.character, head, muzzle)
    draw_face(layer, skull.character, expression, head, muzzle)
    if nosed and nose[2] > head.centre[2] - nose_size:
        layer.ellipsoid(nose, head.axes * nose_size, nose_colour, outline=False, shade=False)
    if look.species in _BEAKED:
        _beak(skull, expression.jaw)
    if look.species == "robot":
        _antenna(skull)
    if look.hair != "none":
        draw_front_hair(skull)
    if look.hat != "none":
        draw_hat(skull)
    ears = head.point(0.98, 0.0, 0.0), head.point(-0.98, 0.0, 0.0)
    return landmarks(skull.character, expression, head, muzzle), ears


def _face_mask(layer: Layer, character: CharacterSpec, head: Surface) -> None:
    """Draw face markings of the species, such as a pale lower face, eye patches or a robot's screen."""
    species, accent = character.look.species, character.look.accent
    if species in {"penguin", "monkey", "owl"}:
        for sign in (-1.0, 1.0):
            _surface_decal(layer, head, (sign * 0.34, 0.02, 0.46, 0.62), accent)
        _surface_decal(layer, head, (0.0, -0.4, 0.62, 0.45), accent)
    if species == "panda":
        for sign in (-1.0, 1.0):
            _surface_decal(layer, head, (sign * 0.48, 0.1, 0.32, 0.42), accent)
    if species == "robot":
        _surface_decal(layer, head, (0.0, -0.08, 0.95, 0.75), accent)
    if species in {"cat", "frog", "rabbit", "hare", "fox", "wolf"}:
        _surface_decal(layer, head, (0.0, -0.55, 0.6 if species != "frog" else 0.85, 0.4), accent)


def _skin_marks(layer: Layer, character: CharacterSpec, head: Surface) -> None:
    """Draw spots and seeds of fruit and blobs, away from facial features."""
    species = character.look.species
    if species in {"strawberry", "blob", "monster", "cactus"}:
        size = 0.045 if species != "blob" else 0.1
        for row, lat in enumerate((-0.95, -0.7, 0.62, 0.9, 1.15)):
            for column in range(8):
                lon = (column + 0.5 * (row % 2)) * math.pi / 4.0
                _surface_decal(
                    layer, head, (lon, lat, size / max(math.cos(lat), 0.3), 1.4 * size), character.look.accent
                )


def _surface_decal(layer: Layer, surface: Surface, patch: tuple[float, float, float, float], colour: Colour) -> None:
    lon, lat, width, height = patch
    if surface.facing(lon, lat) > 0.05:
        angle = np.linspace(0.0, 2.0 * math.pi, 16, endpoint=False)
        lonlat = np.stack((lon + width * np.cos(angle), lat + height * np.sin(angle)), axis=1)
        outline = surface.patch(surface.directions(lonlat))
        if outline is not None:
            layer.decal(outline, colour, convex=False)


def _muzzle(layer: Layer, character: CharacterSpec, head: Surface, muzzle: Surface) -> None:
    if float(muzzle.centre[2] - head.centre[2]) < -0.2 * float(head.radii[2]):
        return
    layer.sub()
    facing = float(head.axes[2, 2])
    layer.ellipsoid(muzzle.centre, muzzle.scaled, character.look.accent, outline=facing < 0.75, shade=facing < 0.75)
    tip = muzzle.point(0.0, 0.55, 0.8)
    size = 0.3 * float(muzzle.radii[0])
    layer.sub()
    layer.ellipsoid(tip, head.axes * (size, 0.7 * size, 0.7 * size), character.look.outline, outline=False, shade=False)


def _beak(skull: Skull, mouth: float) -> None:
    head, key = skull.surface, skull.key
    root = head.point(0.0, -0.22, 0.9)
    w, h, d = head.radii
    tip = head.point(0.0, -0.3, 1.45)
    angle = np.linspace(0.0, 2.0 * math.pi, 10, endpoint=False)
    ring = np.stack((0.34 * w * np.cos(angle), 0.14 * h * (1.0 + mouth) * np.sin(angle), 0.0 * angle), axis=1)
    points = np.concatenate((root + ring @ head.axes.T, tip + 0.25 * ring @ head.axes.T))
    layer = skull.drawing.layer(key + 6e-5 if tip[2] > head.centre[2] - 0.3 * d else key - 6e-5, "head")
    layer.hull(points, float(root[2]), (250, 170, 50))


def _antenna(skull: Skull) -> None:
    head, mean = skull.surface, skull.size
    layer = skull.drawing.layer(skull.key - 6e-5, "hat")
    top = head.point(0.0, 1.5, 0.0)
    layer.capsule(head.point(0.0, 0.9, 0.0), top, 0.05 * mean, 0.04 * mean, (150, 156, 166), shade=False)
    layer.ellipsoid(top, head.axes * (0.15 * mean), skull.look.hat_colour)
