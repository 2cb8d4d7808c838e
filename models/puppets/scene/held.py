"""Held objects: adjustment of the pose, and drawing of the object in the hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from models.puppets.character.body import Arm, Skeleton
from models.puppets.drawing.geometry import Matrix, Vector, vector
from models.puppets.drawing.layers import Drawing, Layer
from models.puppets.drawing.surface import Points
from models.puppets.motion.pose import Pose, Side, Triple
from models.puppets.scene.nearby import draw_ball, draw_block, draw_shine
from models.puppets.spec import CharacterSpec, Colour, ObjectSpec

HELD_KINDS = ("ball", "flower", "balloon", "umbrella", "guitar", "book")
_TWO_HANDED = frozenset({"guitar", "book"})
_WOOD: Colour = (156, 106, 66)
_GREEN: Colour = (88, 160, 84)
_UP = vector(0.0, 1.0, 0.0)
_GRIPS: dict[str, tuple[Triple, float]] = {
    "ball": ((0.5, -0.1, 0.5), 0.3),
    "flower": ((0.3, -0.05, 0.62), 0.9),
    "balloon": ((0.42, 0.05, 0.5), 0.95),
    "umbrella": ((0.3, -0.15, 0.55), 1.0),
    "book": ((-0.02, -0.3, 0.6), 0.6),
    "box": ((0.3, -0.3, 0.5), 0.2),
}


def hold(pose: Pose, item: ObjectSpec, seconds: float) -> Pose:
    """Pose with one or both arms moved to hold the object."""
    sway = 0.05 * math.sin(2.4 * seconds)
    if item.kind == "guitar":
        strum = 0.1 * math.sin(9.0 * seconds)
        right = replace(pose.right, hand=(-0.1, -0.55 + strum, 0.42), elbow=(1.0, -0.1, -0.4), curl=0.4)
        left = replace(pose.left, hand=(0.42, -0.32, 0.5), elbow=(0.9, -0.8, -0.1), curl=0.7)
        return replace(pose, left=left, right=right, lean=0.5 * pose.lean)
    hand, curl = _GRIPS[item.kind]
    held = (hand[0], hand[1] + sway, hand[2])

    def grip(side: Side) -> Side:
        return replace(side, hand=held, elbow=(0.8, -0.8, -0.3), curl=curl, pointing=0.0, palm=0.0)

    if item.kind == "book":
        return replace(pose, left=grip(pose.left), right=grip(pose.right), head_pitch=0.2)
    return replace(pose, left=grip(pose.left)) if item.x >= 0.0 else replace(pose, right=grip(pose.right))


@dataclass(frozen=True, slots=True)
class Grip:
    """Place (3,) in camera space where an object is held, and the hand in whose layer it is drawn (0 left, 1 right)."""

    place: Vector
    hand: int


def grip_of(skeleton: Skeleton, hand: int) -> Grip:
    """Grip of a hand (0 left, 1 right).

    Raises:
        ValueError: the character has no arms.
    """
    arm = _arms(skeleton)[hand]
    return Grip(0.3 * (arm.hand[5] + arm.hand[9]) + 0.4 * arm.wrist, hand)


def held_grip(item: ObjectSpec, skeleton: Skeleton) -> Grip:
    """Grip of an object that a character holds all the time: in one hand, or between both.

    Raises:
        ValueError: the character has no arms.
    """
    hand = main_hand(item)
    if item.kind in _TWO_HANDED:
        left, right = _arms(skeleton)
        return Grip(0.5 * (left.hand[9] + right.hand[9]), hand)
    return grip_of(skeleton, hand)


def _arms(skeleton: Skeleton) -> tuple[Arm, Arm]:
    if skeleton.arms is None:
        raise ValueError("an object is held by a character without arms, expected one with arms")
    return skeleton.arms


def holding_hands(item: ObjectSpec) -> tuple[int, ...]:
    """Hands (0 left, 1 right) that hold the object."""
    return (0, 1) if item.kind in _TWO_HANDED else (main_hand(item),)


def main_hand(item: ObjectSpec) -> int:
    """Hand (0 left, 1 right) in whose layer a held object is drawn."""
    return 0 if item.x >= 0.0 else 1


def draw_held(
    drawing: Drawing,
    item: ObjectSpec,
    grip: Grip,
    skeleton: Skeleton,
    character: CharacterSpec,
    *,
    key: float,
    owner: int,
    seconds: float,
) -> None:
    """Draw an object at its grip.

    `skeleton` and `character` are those that carry it. The visible character must be drawn first; `key` is the sort key
    of its torso.
    """
    if item.kind == "guitar":
        _guitar(drawing.layer(key + 0.007, "object", owner=owner), item, skeleton, character)
        return
    part = ("left_hand", "right_hand")[grip.hand]
    key = next(layer.key for layer in drawing.layers if layer.part == part) - 5e-4
    layer = drawing.layer(key, "object", owner=owner)
    place = grip.place
    axes = skeleton.torso_axes
    if item.kind == "ball":
        draw_ball(layer, place + _UP * (0.75 * item.size), axes, item)
    elif item.kind == "box":
        draw_block(layer, place, axes, (item.size,) * 3, item.colour)
    elif item.kind == "flower":
        _flower(layer, place, axes, item, sway=0.3 * math.sin(2.0 * seconds))
    elif item.kind == "balloon":
        _balloon(layer, place, item, sway=0.7 * math.sin(1.7 * seconds))
    elif item.kind == "umbrella":
        canopy = drawing.layer(key - 0.05, "object", owner=owner)
        _umbrella(layer, canopy, item, place, axes)
    else:
        _book(layer, place + axes[:, 1] * (0.35 * item.size), axes, item)


def _flower(layer: Layer, grip: Vector, axes: Matrix, item: ObjectSpec, *, sway: float) -> None:
    size = item.size
    top = grip + _UP * (2.2 * size) + axes[:, 0] * (sway * size)
    layer.capsule(grip - _UP * size, top, 0.01, 0.01, _GREEN, shade=False)
    leaf = grip + _UP * size + axes[:, 0] * (0.3 * size)
    layer.ellipsoid(leaf, np.eye(3) * (0.4 * size, 0.18 * size, 0.1), _GREEN)
    layer.sub()
    _petals(layer, top, item)


def _petals(layer: Layer, centre: Vector, item: ObjectSpec) -> None:
    size = item.size
    for index in range(6):
        angle = index * math.pi / 3.0
        petal = centre + vector(0.55 * size * math.cos(angle), 0.55 * size * math.sin(angle), 0.0)
        layer.ellipsoid(petal, np.eye(3) * (0.4 * size), item.colour, shade=False)
    layer.sub()
    layer.ellipsoid(centre, np.eye(3) * (0.38 * size), item.second)


def _balloon(layer: Layer, grip: Vector, item: ObjectSpec, *, sway: float) -> None:
    size = item.size
    top = grip + _UP * (5.0 * size) + vector(sway * size, 0.0, 0.0)
    layer.capsule(grip, top - _UP * (1.1 * size), 0.004, 0.004, (236, 236, 236), shade=False)
    layer.sub()
    knot = np.array(((0.0, -0.9, 0.0), (0.16, -1.25, 0.0), (-0.16, -1.25, 0.0)))
    layer.hull(top + knot * size, float(top[2]), item.colour)
    layer.ellipsoid(top, np.eye(3) * (0.85 * size, 1.05 * size, 0.85 * size), item.colour)
    draw_shine(layer, top, size)


def _umbrella(stick: Layer, canopy: Layer, item: ObjectSpec, grip: Vector, axes: Matrix) -> None:
    size = item.size
    top = grip + _UP * (4.6 * size) - axes[:, 0] * (0.4 * size)
    stick.capsule(grip - _UP * (0.6 * size), top, 0.011, 0.009, _WOOD, shade=False)
    radius, height = 2.3 * size, 1.656 * size
    middle = top[:2] - np.array((0.0, 0.7 * radius))
    angle = np.linspace(0.0, math.pi, 15)[1:-1]
    dome = np.stack((radius * np.cos(angle), height * np.sin(angle)), axis=1)
    behind = float(grip[2]) - 0.05  # painted behind the head, so its depth is behind it too
    canopy.polygon(middle + np.concatenate((dome, _hem(-1.0, 1.0, radius))), behind, item.colour)
    for left, right in ((-1.0, -0.5), (0.0, 0.5)):
        share = 0.75 * np.linspace(right, left, 5)
        rim = np.stack((radius * share, 0.9 * height * np.sqrt(1.0 - share**2)), axis=1)
        gore = np.concatenate((_hem(left, right, radius), rim, np.array(((0.0, height),))))
        canopy.decal(middle + gore, item.second, convex=False)


def _hem(left: float, right: float, radius: float) -> Points:
    """Scalloped lower edge (n, 2) of an umbrella, between two multiples of its radius."""
    s = np.linspace(left, right, 21)
    return np.stack((radius * s, 0.16 * radius * np.abs(np.sin(s * 2.0 * math.pi))), axis=1)


def _book(layer: Layer, centre: Vector, axes: Matrix, item: ObjectSpec) -> None:
    size = item.size
    tilt = axes @ np.array(((1.0, 0.0, 0.0), (0.0, 0.85, -0.5), (0.0, 0.5, 0.85)))
    for sign in (-1.0, 1.0):
        corners = [(0.0, -0.7), (0.0, 0.9), (1.25, 1.0), (1.25, -0.6)]
        cover = np.stack([centre + tilt @ vector(sign * x * size, y * size, 0.15 * abs(x) * size) for x, y in corners])
        layer.hull(cover, float(centre[2]), item.colour)
    for sign in (-1.0, 1.0):
        page = np.stack(
            [
                centre + tilt @ vector(sign * x * size, y * size, 0.15 * size * abs(x))
                for x, y in ((0.08, 0.55), (0.08, 0.75), (1.1, 0.82), (1.1, 0.62))
            ]
        )
        layer.decal(page, item.second)


def _guitar(layer: Layer, item: ObjectSpec, skeleton: Skeleton, character: CharacterSpec) -> None:
    axes = skeleton.torso_axes
    depth = character.proportions.torso_depth
    size = item.size
    centre = skeleton.pelvis + axes @ vector(-0.02, 0.38 * character.proportions.torso, 1.25 * depth)
    c, s = math.cos(0.45), math.sin(0.45)
    local = axes @ np.array(((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)))
    neck_end = centre + local @ vector(3.6 * size, 0.0, 0.0)
    layer.capsule(centre, neck_end, 0.14 * size, 0.12 * size, _WOOD, shade=False)
    layer.capsule(
        neck_end, neck_end + local @ vector(0.5 * size, 0.0, 0.0), 0.2 * size, 0.22 * size, item.second, shade=False
    )
    layer.sub()
    layer.ellipsoid(centre - local[:, 0] * (0.55 * size), local * (0.85 * size, 0.85 * size, 0.15 * size), item.colour)
    layer.ellipsoid(centre + local[:, 0] * (0.42 * size), local * (0.65 * size, 0.65 * size, 0.15 * size), item.colour)
    layer.sub()
    layer.ellipsoid(centre, local * (0.28 * size, 0.28 * size, 0.05), (60, 40, 34), outline=False, shade=False)
    layer.capsule(centre, neck_end, 0.05 * size, 0.05 * size, (240, 226, 196), outline=False, shade=False)
