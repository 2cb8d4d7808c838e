"""Objects that a character holds or stands beside."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from models.puppets.body import Skeleton
from models.puppets.drawing import Drawing, Layer
from models.puppets.geometry import Matrix, Vector, vector
from models.puppets.pose import Pose, Side, Triple
from models.puppets.spec import CharacterSpec, Colour, ObjectSpec
from models.puppets.surface import Points

HELD_KINDS = ("ball", "flower", "balloon", "umbrella", "guitar", "book")
NEARBY_KINDS = ("box", "chair", "plant", "ball", "lamp", "barrel")
_WOOD: Colour = (156, 106, 66)
_GREEN: Colour = (88, 160, 84)

_GRIPS: dict[str, tuple[Triple, float]] = {
    "ball": ((0.5, -0.1, 0.5), 0.3),
    "flower": ((0.3, -0.05, 0.62), 0.9),
    "balloon": ((0.42, 0.05, 0.5), 0.95),
    "umbrella": ((0.3, -0.15, 0.55), 1.0),
    "book": ((-0.12, -0.22, 0.62), 0.3),
}


def hold(pose: Pose, item: ObjectSpec, seconds: float) -> Pose:
    """The pose with the arm, or both arms, brought to where the object is held."""
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


def draw_held(
    drawing: Drawing, item: ObjectSpec, owner: int, skeleton: Skeleton, character: CharacterSpec, seconds: float
) -> None:
    """Draw an object in the hand; the hand's layers must have been drawn before."""
    if skeleton.arms is None:
        raise ValueError(f"object '{item.object_id}' is held, but the character has no arms")
    index = 0 if item.x >= 0.0 else 1
    arm = skeleton.arms[index]
    part = "left_hand" if index == 0 else "right_hand"
    key = next(layer.key for layer in drawing.layers if layer.part == part) - 5e-4
    grip = 0.5 * (arm.hand[5] + arm.hand[9]) * 0.6 + 0.4 * arm.wrist
    axes = skeleton.torso_axes
    up = vector(0.0, 1.0, 0.0)
    size = item.size
    if item.kind == "guitar":
        _guitar(drawing, item, owner, skeleton, character)
        return
    layer = drawing.layer(key, "object", owner=owner)
    if item.kind == "ball":
        _ball(layer, grip + up * (0.75 * size), axes, size, item)
    elif item.kind == "flower":
        top = grip + up * (2.2 * size) + axes[:, 0] * (0.3 * size * math.sin(2.0 * seconds))
        layer.capsule(grip - up * size, top, 0.01, 0.01, _GREEN, shade=False)
        layer.ellipsoid(
            grip + up * size + axes[:, 0] * (0.3 * size), np.eye(3) * (0.4 * size, 0.18 * size, 0.1), _GREEN
        )
        layer.sub()
        _petals(layer, top, size, item)
    elif item.kind == "balloon":
        top = grip + up * (5.0 * size) + vector(0.7 * size * math.sin(1.7 * seconds), 0.0, 0.0)
        layer.capsule(grip, top - up * (1.1 * size), 0.004, 0.004, (236, 236, 236), shade=False)
        layer.sub()
        layer.hull(np.stack((top - up * (0.9 * size), top - up * (1.25 * size) + vector(0.16 * size, 0, 0),
                             top - up * (1.25 * size) - vector(0.16 * size, 0, 0))), float(top[2]), item.colour)  # fmt: skip
        layer.ellipsoid(top, np.eye(3) * (0.85 * size, 1.05 * size, 0.85 * size), item.colour)
        _shine(layer, top, size)
    elif item.kind == "umbrella":
        _umbrella(drawing, item, owner, grip, axes, key)
    elif item.kind == "book":
        _book(layer, 0.5 * (skeleton.arms[0].hand[9] + skeleton.arms[1].hand[9]), axes, item)


def draw_nearby(drawing: Drawing, item: ObjectSpec, owner: int, camera: Matrix) -> None:
    """Draw an object that stands on the floor."""
    foot = camera @ vector(item.x, 0.0, item.z)
    layer = drawing.layer(float(foot[2]), "object", owner=owner)
    size = item.size
    up = camera[:, 1]
    if item.kind == "ball":
        _ball(layer, foot + up * size, camera, size, item)
    elif item.kind == "box":
        _block(layer, foot, camera, (size, 1.5 * size, size), item.colour)
        for share in (0.45, 0.6):
            a, b = foot + up * (share * 3.0 * size), camera[:, 0] * size
            layer.decal(np.stack((a - b, a + b, a + b + up * (0.16 * size), a - b + up * (0.16 * size))), item.second)
    elif item.kind == "chair":
        back = foot - camera[:, 2] * (0.9 * size)
        _block(layer, back + up * (2.0 * size), camera, (size, 1.1 * size, 0.1 * size), item.colour)
        for x, z in ((-0.85, -0.8), (0.85, -0.8), (-0.85, 0.8), (0.85, 0.8)):
            leg = foot + camera @ vector(x * size, 0.0, z * size)
            layer.capsule(leg, leg + up * (2.0 * size), 0.12 * size, 0.12 * size, _WOOD)
        layer.sub()
        _block(layer, foot + up * (1.9 * size), camera, (size, 0.16 * size, size), item.second)
    elif item.kind == "plant":
        for angle, reach in ((-0.9, 2.0), (0.9, 2.0), (-0.4, 2.7), (0.4, 2.7), (0.0, 3.0)):
            tip = foot + camera @ vector(
                math.sin(angle) * reach * size * 0.7, 1.4 * size + math.cos(angle) * reach * size, 0.0
            )
            middle = 0.5 * (foot + up * (1.4 * size) + tip)
            layer.capsule(foot + up * (1.4 * size), middle, 0.1 * size, 0.34 * size, item.second)
            layer.capsule(middle, tip, 0.34 * size, 0.06 * size, item.second)
        layer.sub()
        ring = _circle(0.62 * size, camera)
        layer.hull(np.concatenate((foot + ring, foot + up * (1.5 * size) + 1.35 * ring)), float(foot[2]), item.colour)
    elif item.kind == "lamp":
        layer.hull(
            np.concatenate(
                (foot + _circle(0.8 * size, camera), foot + up * (0.2 * size) + _circle(0.8 * size, camera))
            ),
            float(foot[2]),
            _WOOD,
        )
        layer.capsule(foot, foot + up * (5.5 * size), 0.1 * size, 0.1 * size, _WOOD, shade=False)
        layer.sub()
        layer.hull(
            np.concatenate(
                (
                    foot + up * (5.0 * size) + _circle(1.2 * size, camera),
                    foot + up * (6.8 * size) + _circle(0.6 * size, camera),
                )
            ),
            float(foot[2]),
            item.colour,
        )
    elif item.kind == "barrel":
        rings = [foot + up * (h * size) + _circle(r * size, camera) for h, r in ((0.0, 0.85), (1.3, 1.05), (2.6, 0.85))]
        layer.hull(np.concatenate(rings), float(foot[2]), item.colour)
        for h in (0.5, 1.9):
            band = [foot + up * ((h + d) * size) + _circle(0.99 * size, camera) for d in (0.0, 0.2)]
            from models.puppets.drawing import convex_hull

            layer.decal(convex_hull(np.concatenate(band)), item.second)
    else:
        raise ValueError(f"unknown object kind '{item.kind}', expected one of {NEARBY_KINDS}")


def _circle(radius: float, camera: Matrix, count: int = 16) -> Points:
    angle = np.linspace(0.0, 2.0 * math.pi, count, endpoint=False)
    return np.stack((radius * np.cos(angle), np.zeros(count), radius * np.sin(angle)), axis=1) @ camera.T


def _block(layer: Layer, foot: Vector, axes: Matrix, half: tuple[float, float, float], colour: Colour) -> None:
    """A box that stands at `foot`: its hull, then the lit top."""
    w, h, d = half
    corners = np.array([(x, y, z) for x in (-w, w) for y in (0.0, 2.0 * h) for z in (-d, d)]) @ axes.T + foot
    layer.hull(corners, float(foot[2]), colour)
    top = np.array(((-w, 2 * h, -d), (w, 2 * h, -d), (w, 2 * h, d), (-w, 2 * h, d))) @ axes.T + foot
    layer.decal(top, tuple(min(int(c * 1.2) + 10, 255) for c in colour))  # type: ignore[arg-type]


def _shine(layer: Layer, centre: Vector, size: float) -> None:
    angle = np.linspace(0.0, 2.0 * math.pi, 10, endpoint=False)
    spot = np.stack((-0.3 + 0.16 * np.cos(angle), 0.42 + 0.2 * np.sin(angle)), axis=1) * size
    layer.decal(centre[:2] + spot, (255, 250, 246))


def _ball(layer: Layer, centre: Vector, axes: Matrix, size: float, item: ObjectSpec) -> None:
    layer.ellipsoid(centre, axes * size, item.colour)
    s = np.linspace(-1.0, 1.0, 12)
    for low, high in ((-0.22, 0.22),):
        upper = np.stack((np.sqrt(1.0 - (high + 0.1 * (1 - s * s)) ** 2) * s, high + 0.25 * (1 - s * s)), axis=1)
        lower = np.stack((np.sqrt(1.0 - low**2) * s, low + 0.25 * (1 - s * s)), axis=1)
        layer.decal(centre[:2] + np.concatenate((upper, lower[::-1])) * size * 0.98, item.second, convex=False)
    _shine(layer, centre, size)


def _petals(layer: Layer, centre: Vector, size: float, item: ObjectSpec) -> None:
    for index in range(6):
        angle = index * math.pi / 3.0
        petal = centre + vector(0.55 * size * math.cos(angle), 0.55 * size * math.sin(angle), 0.0)
        layer.ellipsoid(petal, np.eye(3) * (0.4 * size), item.colour, shade=False)
    layer.sub()
    layer.ellipsoid(centre, np.eye(3) * (0.38 * size), item.second)


def _umbrella(drawing: Drawing, item: ObjectSpec, owner: int, grip: Vector, axes: Matrix, key: float) -> None:
    size = item.size
    up = vector(0.0, 1.0, 0.0)
    top = grip + up * (4.6 * size) - axes[:, 0] * (0.4 * size)
    stick = drawing.layer(key, "object", owner=owner)
    stick.capsule(grip - up * (0.6 * size), top, 0.011, 0.009, _WOOD, shade=False)
    canopy = drawing.layer(key - 0.05, "object", owner=owner)
    radius = 2.3 * size
    angle = np.linspace(0.0, math.pi, 15)
    dome = np.stack((radius * np.cos(angle), 0.72 * radius * np.sin(angle)), axis=1)
    s = np.linspace(-1.0, 1.0, 21)
    hem = np.stack((radius * s, 0.16 * radius * np.abs(np.sin(s * 2.0 * math.pi))), axis=1)
    outline = top[:2] - (0.0, 0.7 * radius) + np.concatenate((dome[1:-1], hem))
    canopy.polygon(outline, float(top[2]), item.colour)
    for left, right in ((-1.0, -0.5), (0.0, 0.5)):
        a = np.linspace(left, right, 5)
        gore = np.concatenate((np.stack((radius * a, 0.16 * radius * np.abs(np.sin(a * 2.0 * math.pi))), axis=1),
                               np.stack((np.linspace(right, left, 5) * radius * 0.75,
                                         0.72 * radius * np.sqrt(1.0 - (np.linspace(right, left, 5) * 0.75) ** 2) * 0.9), axis=1),
                               np.array(((0.0, 0.72 * radius),))))  # fmt: skip
        canopy.decal(top[:2] - (0.0, 0.7 * radius) + gore, item.second, convex=False)


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


def _guitar(drawing: Drawing, item: ObjectSpec, owner: int, skeleton: Skeleton, character: CharacterSpec) -> None:
    axes = skeleton.torso_axes
    depth = character.proportions.torso_depth
    layer = drawing.layer(float(skeleton.pelvis[2]) + 0.007, "object", owner=owner)
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
