"""Drawing of a character: torso and clothes, arms and hands, legs and shoes, tail."""

from __future__ import annotations

import math

import numpy as np

from models.puppets.character.body import Arm, Leg, Skeleton
from models.puppets.character.face import Face
from models.puppets.character.head import draw_head
from models.puppets.character.skull import Skull, head_surface
from models.puppets.character.torso import Trunk, draw_torso
from models.puppets.drawing.geometry import Vector, unit, vector
from models.puppets.drawing.layers import Drawing, Layer
from models.puppets.drawing.surface import Points
from models.puppets.motion.expression import Expression
from models.puppets.spec import CharacterSpec, Colour

_SIDES = ("left", "right")


def draw_character(
    drawing: Drawing, character: CharacterSpec, skeleton: Skeleton, expression: Expression, *, seconds: float
) -> tuple[Face, tuple[Vector, Vector]]:
    """Draw a character. Returns its face and its ears (left, right)."""
    key = float(skeleton.pelvis[2])
    look = character.look
    if look.tail != "none":
        _draw_tail(drawing, character, skeleton, key, seconds)
    if skeleton.legs is not None:
        _draw_legs(drawing, character, skeleton, skeleton.legs, key)
    if not look.face_on_body:
        draw_torso(drawing, Trunk(character, skeleton), key)
    head_key = key if look.face_on_body else key + 0.02
    skull = Skull(drawing, character, head_surface(character, skeleton), head_key, key)
    face, ears = draw_head(skull, expression)
    for index in range(2):
        _draw_arm(drawing, character, skeleton, index, key)
    return face, ears


def _brightness(z: float) -> float:
    """Brightness factor of a limb: far limbs are drawn darker."""
    return 1.0 - 0.24 * min(max(0.25 - z * 4.0, 0.0), 1.0)


def _draw_arm(drawing: Drawing, character: CharacterSpec, skeleton: Skeleton, index: int, key: float) -> None:
    if skeleton.arms is None:
        return
    arm, side = skeleton.arms[index], _SIDES[index]
    p, look = character.proportions, character.look
    depth = 0.4 * float(arm.elbow[2]) + 0.6 * float(arm.wrist[2]) - float(skeleton.chest[2])
    order = 0.004 * math.tanh(depth * 5.0)
    if depth < -0.03:
        arm_key = key - 0.04 + order
    elif float(arm.wrist[2] - skeleton.head[2]) > 0.05:
        arm_key = key + 0.03 + order
    else:
        arm_key = key + 0.012 + order
    layer = drawing.layer(arm_key, f"{side}_arm", darken=_brightness(depth))
    r = p.arm_radius
    long = look.top in {"long_sleeves", "coat"}
    colour = look.top_colour if long else look.skin
    layer.capsule(arm.shoulder, arm.elbow, r * 1.05, r * 0.92, colour)
    layer.capsule(arm.elbow, arm.wrist, r * 0.92, r * 0.78, colour)
    if look.top_pattern == "stripes" and long:
        _stripe_limb(layer, arm.shoulder, arm.elbow, r, colour=look.top_second)
        _stripe_limb(layer, arm.elbow, arm.wrist, r * 0.85, colour=look.top_second)
    if look.species == "robot":
        for a, b in ((arm.shoulder, arm.elbow), (arm.elbow, arm.wrist)):
            _stripe_limb(layer, a, b, r * 0.9, colour=look.accent)
    if look.top in {"shirt", "dress"}:
        layer.sub()
        end = arm.shoulder + (arm.elbow - arm.shoulder) * 0.62
        layer.capsule(arm.shoulder, end, r * 1.25, r * 1.32, look.top_colour)
        if look.top_pattern != "plain":
            _stripe_limb(layer, arm.shoulder, end, r * 1.25, colour=look.top_second, count=2)
    if long:
        layer.sub()
        cuff = arm.wrist + (arm.elbow - arm.wrist) * 0.16
        layer.capsule(cuff, arm.wrist, r * 0.98, r * 0.98, look.top_second)
    _draw_hand(drawing, character, arm, side, arm_key + 1e-3)


def _stripe_limb(layer: Layer, a: Vector, b: Vector, radius: float, *, colour: Colour, count: int = 3) -> None:
    """Draw stripes across a limb."""
    run = (b - a)[:2]
    length = math.sqrt(float(run @ run))
    if length < 0.6 * radius:
        return
    aside = np.array((-run[1], run[0])) / length * (radius * 0.93)
    half = run * (0.22 / count)
    for index in range(count):
        middle = a[:2] + run * ((index + 0.55) / count)
        layer.decal(
            np.stack((middle - half - aside, middle + half - aside, middle + half + aside, middle - half + aside)),
            colour,
        )


def _draw_hand(drawing: Drawing, character: CharacterSpec, arm: Arm, side: str, key: float) -> None:
    look, size = character.look, character.proportions.hand
    colour = look.glove or look.skin
    layer = drawing.layer(key, f"{side}_hand", darken=_brightness(float(arm.wrist[2])))
    hand = arm.hand
    palm = hand[0] * 0.42 + hand[9] * 0.58
    finger = size * 0.105
    wide = look.hand_style == "mitten"
    layer.capsule(hand[0], palm, size * 0.17, size * 0.27, colour, shade=False)
    order = sorted(range(5), key=lambda index: float(hand[3 + 4 * index][2]))
    if wide:
        layer.sub()
        for index in range(1, 5):
            first = 1 + 4 * index
            layer.capsule(hand[first], hand[first + 1], finger * 1.6, finger * 1.6, colour, shade=False)
            layer.capsule(hand[first + 1], hand[first + 3], finger * 1.6, finger * 1.35, colour, shade=False)
        order = [0]
    for index in order:
        first = 1 + 4 * index
        thick = finger * (1.25 if index == 0 else 1.0)
        layer.sub()
        layer.capsule(hand[first], hand[first + 1], thick, thick, colour, shade=False)
        layer.capsule(hand[first + 1], hand[first + 3], thick, thick * 0.85, colour, shade=False)
    layer.sub()
    layer.capsule(hand[0], palm, size * 0.15, size * 0.25, colour, outline=False, shade=False)
    if look.glove is not None:
        layer.sub()
        along = unit(hand[0] - palm)
        cuff = character.proportions.arm_radius * 1.05
        layer.capsule(hand[0] + along * 0.25 * cuff, hand[0] + along * 0.6 * cuff, cuff, cuff, colour, shade=False)


def _draw_legs(
    drawing: Drawing, character: CharacterSpec, skeleton: Skeleton, legs: tuple[Leg, Leg], key: float
) -> None:
    p, look = character.proportions, character.look
    bare = look.bottom in {"bare", "skirt"} or look.top == "dress"
    base = look.skin if bare else look.bottom_colour
    keys = []
    for side, leg in zip(_SIDES, legs, strict=True):
        mean = 0.5 * float(leg.knee[2] + leg.ankle[2]) - float(skeleton.pelvis[2])
        raised = leg.knee[1] > skeleton.pelvis[1] - 0.45 * p.thigh and mean > 0.12
        leg_key = key - 0.02 + 0.01 * math.tanh(mean * 5.0) + (0.045 if raised else 0.0)
        keys.append(leg_key)
        layer = drawing.layer(leg_key, f"{side}_leg", darken=_brightness(mean))
        r = p.leg_radius
        shin = look.skin if look.bottom == "shorts" else base
        layer.capsule(leg.knee, leg.ankle, r * 0.9, r * (0.68 if bare or look.bottom == "shorts" else 0.85), shin)
        layer.capsule(leg.hip, leg.knee, r * 1.15, r * 0.92, shin)
        if look.bottom == "shorts":
            layer.sub()
            end = leg.hip + (leg.knee - leg.hip) * 0.78
            layer.capsule(leg.hip, end, r * 1.3, r * 1.22, look.bottom_colour)
        if look.species == "robot":
            _stripe_limb(layer, leg.hip, leg.knee, r * 0.95, colour=look.accent)
            _stripe_limb(layer, leg.knee, leg.ankle, r * 0.8, colour=look.accent)
        _draw_foot(drawing, character, leg, side, leg_key + (0.002 if leg.big_toe[2] > leg.ankle[2] else -0.002))
    if not look.face_on_body:
        colour = base if look.bottom != "shorts" else look.bottom_colour
        a, b, radius = legs[0].hip, legs[1].hip, p.leg_radius
        drawing.layer(min(keys) - 1e-3, "torso").capsule(a, b, 1.2 * radius, 1.2 * radius, colour)
        # Again without outline, to cover the tops of the legs, and the torso too if both are bare.
        over = key + 5e-4 if look.top == "bare" and look.bottom == "bare" else key - 0.005
        patch = drawing.layer(over, "torso")
        patch.capsule(a, b, 1.05 * radius, 1.05 * radius, colour, outline=False, shade=False)


def _draw_foot(drawing: Drawing, character: CharacterSpec, leg: Leg, side: str, key: float) -> None:
    look = character.look
    length = character.proportions.foot
    layer = drawing.layer(key, f"{side}_foot", darken=_brightness(float(leg.ankle[2]) * 0.5))
    toe = 0.45 * leg.big_toe + 0.55 * leg.small_toe
    up = vector(0.0, 1.0, 0.0)
    heel = leg.heel + up * (0.06 * length)
    ball = toe + up * (0.05 * length) - (toe - leg.heel) * 0.08
    below = -up * (0.07 * length)
    if look.shoe_colour != look.skin:
        layer.capsule(heel + below, ball + below, 0.19 * length, 0.22 * length, (244, 242, 236), shade=False)
    layer.capsule(heel, ball, 0.2 * length, 0.25 * length, look.shoe_colour)
    layer.capsule(heel + up * (0.05 * length), leg.ankle, 0.2 * length, 0.2 * length, look.shoe_colour, shade=False)
    if look.shoe_colour != look.skin:
        middle = heel * 0.45 + ball * 0.55 + up * (0.2 * length)
        side_run = unit(ball - heel) * (0.1 * length)
        rise = up * (0.03 * length)
        layer.decal(
            np.stack(
                (middle - side_run - rise, middle + side_run - rise, middle + side_run + rise, middle - side_run + rise)
            ),
            (250, 250, 246),
        )


def _draw_tail(drawing: Drawing, character: CharacterSpec, skeleton: Skeleton, key: float, seconds: float) -> None:
    p, look = character.proportions, character.look
    axes = skeleton.pelvis_axes
    back = float(axes[2, 2]) < 0.0
    layer = drawing.layer(key + (0.015 if back else -0.06), "tail")
    swing = 0.22 * math.sin(4.5 * seconds)
    depth = p.torso_depth
    root = skeleton.pelvis + axes @ vector(0.0, 0.02, -0.8 * depth)
    if look.tail == "tuft":
        layer.ellipsoid(root - axes[:, 2] * (0.5 * depth), axes * (0.055, 0.055, 0.055), look.accent)
        return
    count = 5
    thick = (
        np.linspace(0.03, 0.022, count + 1) if look.tail == "long" else np.array((0.03, 0.05, 0.07, 0.075, 0.06, 0.02))
    )
    points: list[Points] = [root]
    for index in range(count):
        bend = 0.35 * index
        step = vector(0.10 * swing * (index + 1) * 0.5 + 0.045, 0.065 * math.sin(bend), -0.055 * math.cos(bend))
        points.append(points[-1] + axes @ step)
    for index in range(count):
        tip = look.tail == "bushy" and index == count - 1
        layer.capsule(
            points[index],
            points[index + 1],
            thick[index],
            thick[index + 1],
            look.accent if tip else look.skin,
            shade=not tip,
        )
