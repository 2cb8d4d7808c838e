"""Shared state of drawing a head: its surface and its place in painter's order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.puppets.character.body import Skeleton
from models.puppets.drawing.geometry import Matrix, Vector
from models.puppets.drawing.layers import Drawing
from models.puppets.drawing.surface import Surface
from models.puppets.spec import CharacterSpec, Look

MUZZLED = frozenset({"bear", "dog", "fox", "mouse", "panda", "koala", "wolf", "pig", "cow"})


@dataclass(slots=True)
class Skull:
    """Head to draw at sort key `key`, on a torso at sort key `torso_key`."""

    drawing: Drawing
    character: CharacterSpec
    surface: Surface
    key: float
    torso_key: float

    @property
    def look(self) -> Look:
        """Look of the character."""
        return self.character.look

    @property
    def size(self) -> float:
        """Mean half-axis."""
        return float(self.surface.radii.mean())

    def key_beside(self, point: Vector) -> float:
        """Sort key just in front of or behind the head's, depending on the point's depth."""
        return self.key + math.copysign(5e-5, float(point[2] - self.surface.centre[2]))


def tilted(axes: Matrix, angle: float) -> Matrix:
    """Axes rotated in their own left-up plane: a positive angle tips up towards left."""
    c, s = math.cos(angle), math.sin(angle)
    return np.asarray(axes @ np.array(((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0))))


def head_surface(character: CharacterSpec, skeleton: Skeleton) -> Surface:
    """Ellipsoid of the head; of the whole body for a face on the body."""
    p = character.proportions
    if character.look.face_on_body:
        radii = (p.shoulder_width, 0.5 * p.torso, p.torso_depth)
    else:
        radii = (p.head_width, p.head_height, p.head_depth)
    return Surface(skeleton.head, skeleton.head_axes, radii)


def muzzle_surface(character: CharacterSpec, head: Surface) -> Surface | None:
    """Ellipsoid of the muzzle; None for species without one."""
    if character.look.species not in MUZZLED:
        return None
    w, h, d = head.radii
    reach = 1.25 if character.look.species in {"fox", "dog", "wolf"} else 1.0
    return Surface(head.point(0.0, -0.38, 0.72), head.axes, (0.5 * w, 0.36 * h, 0.42 * d * reach))
