"""Joint positions of a pose: forward kinematics for spine and hands, inverse kinematics for arms and legs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.puppets.drawing.geometry import (
    Matrix,
    Vector,
    pitch_matrix,
    roll_matrix,
    two_bone,
    unit,
    vector,
    yaw_matrix,
)
from models.puppets.motion.pose import Pose, Side
from models.puppets.spec import CharacterSpec

# Per finger: base across and along the palm, fan angle (radians), length; lengths relative to the hand's size.
_FINGERS = ((-0.24, 0.30, -0.85, 0.42), (-0.18, 0.55, -0.20, 0.42), (-0.06, 0.58, -0.05, 0.46),
            (0.06, 0.56, 0.08, 0.42), (0.17, 0.50, 0.24, 0.34))  # fmt: skip


@dataclass(slots=True)
class Arm:
    """Joints of an arm. `hand`: (21, 3), the wrist, then four joints of each finger, thumb first."""

    shoulder: Vector
    elbow: Vector
    wrist: Vector
    hand: Matrix
    across: Vector  # unit vector across the palm, from the thumb to the little finger


@dataclass(slots=True)
class Leg:
    """Joints of a leg and its foot."""

    hip: Vector
    knee: Vector
    ankle: Vector
    heel: Vector
    big_toe: Vector
    small_toe: Vector


@dataclass(slots=True)
class Skeleton:
    """Joints in camera space: x to the image's right, y up, z towards the camera, in standing heights.

    The columns of a matrix are the axes (left, up, forward) of the part. Index 0 is the character's left, 1 its right.
    """

    ground: Vector  # floor below the body
    pelvis: Vector
    chest: Vector  # between the shoulders
    neck: Vector
    head: Vector  # centre of the head
    pelvis_axes: Matrix
    torso_axes: Matrix
    head_axes: Matrix
    arms: tuple[Arm, Arm] | None
    legs: tuple[Leg, Leg] | None


Wrists = tuple[Vector | None, Vector | None]
"""Places in camera space for the left and the right wrist; None: the wrist is where the pose has it."""


def solve(
    character: CharacterSpec, pose: Pose, *, yaw: float, camera_pitch: float, wrists: Wrists = (None, None)
) -> Skeleton:
    """Joints of a character in a pose, rotated by `yaw`, for a camera tilted down by `camera_pitch` (radians).

    An arm that is too short for its place in `wrists` stretches towards it.
    """
    p = character.proportions
    camera = pitch_matrix(camera_pitch)
    room = camera @ yaw_matrix(pose.yaw + yaw)
    up = camera[:, 1]
    ground = camera @ vector(pose.root[0], 0.0, pose.root[2])
    lifted = ground + up * pose.root[1]

    leg_length = p.thigh + p.shin
    sole = p.foot * 0.28
    height = leg_length * (0.985 - pose.crouch) + sole if leg_length else p.hover - 0.25 * pose.crouch * p.torso
    pelvis = lifted + up * height + room[:, 0] * pose.sway
    pelvis_axes = room @ roll_matrix(-0.4 * pose.tilt)
    torso_axes = room @ yaw_matrix(pose.twist) @ pitch_matrix(pose.lean) @ roll_matrix(pose.tilt)
    chest = pelvis + torso_axes[:, 1] * p.torso
    neck = chest + torso_axes[:, 1] * (p.neck * 0.5)

    head_turn = yaw_matrix(pose.head_yaw - 0.5 * pose.twist) @ pitch_matrix(pose.head_pitch - 0.6 * pose.lean)
    head_axes = torso_axes @ head_turn @ roll_matrix(pose.head_roll - 0.5 * pose.tilt)
    if character.look.face_on_body:
        head_axes = torso_axes
        head = pelvis + torso_axes[:, 1] * (p.torso * 0.5)
    else:
        head = chest + torso_axes[:, 1] * (p.neck * 0.8) + head_axes[:, 1] * (p.head_height * 0.92)

    arms = None
    if p.upper_arm:
        arms = (
            _arm(character, pose.left, (chest, torso_axes), wrists[0], 1.0),
            _arm(character, pose.right, (chest, torso_axes), wrists[1], -1.0),
        )
    legs = None
    if leg_length:
        legs = (
            _leg(character, pose.left, (pelvis, pelvis_axes), (lifted, room), 1.0),
            _leg(character, pose.right, (pelvis, pelvis_axes), (lifted, room), -1.0),
        )
    return Skeleton(ground, pelvis, chest, neck, head, pelvis_axes, torso_axes, head_axes, arms, legs)


def _arm(
    character: CharacterSpec, side: Side, torso: tuple[Vector, Matrix], wrist_place: Vector | None, sign: float
) -> Arm:
    p = character.proportions
    chest, axes = torso
    drop = 0.62 * p.torso if character.look.face_on_body else 0.06 * p.torso
    shoulder = chest + axes @ vector(sign * p.shoulder_width, -drop, 0.0)
    out, rise, forward = side.hand
    length = p.upper_arm + p.forearm
    target = wrist_place
    if target is None:
        target = shoulder + axes @ vector(sign * out * length, rise * length, forward * length)
    pole = axes @ vector(sign * side.elbow[0], side.elbow[1], side.elbow[2])
    elbow, wrist = two_bone(shoulder, target, p.upper_arm, p.forearm, pole)
    hand, across = _hand(p.hand, wrist, unit(wrist - elbow), axes, side=side, sign=sign)
    return Arm(shoulder, elbow, wrist, hand, across)


def _hand(size: float, wrist: Vector, along: Vector, axes: Matrix, *, side: Side, sign: float) -> tuple[Matrix, Vector]:
    # The palm faces the body for a hanging arm and the camera for a raised one: the thumb points forwards or inwards.
    raised = 0.5 + 0.5 * float(along @ axes[:, 1])
    thumb = axes @ vector(-sign * (0.35 + 0.65 * raised), 0.0, 1.0 - raised + 0.15)
    across = unit(-(thumb - along * float(thumb @ along)))
    normal = np.cross(across, along)
    c, s = math.cos(side.palm), math.sin(side.palm)
    across, normal = across * c + normal * s, normal * c - across * s
    inwards = normal if float(normal @ axes[:, 2]) * raised - sign * float(normal @ axes[:, 0]) > 0 else -normal

    hand = np.empty((21, 3))
    hand[0] = wrist
    for finger, (offset, base, fan, length) in enumerate(_FINGERS):
        point = wrist + (across * offset + along * base) * size
        bend = side.curl * (0.75 if finger == 0 else 1.15)
        if finger == 1:
            bend *= 1.0 - side.pointing
        direction = math.cos(fan) * along + math.sin(fan) * across
        hand[1 + 4 * finger] = point
        for bone, share in enumerate((0.42, 0.33, 0.25)):
            angle = bend * (0.8 + bone)
            point = point + (direction * math.cos(angle) + inwards * math.sin(angle)) * (length * share * size)
            hand[2 + 4 * finger + bone] = point
    return hand, across


def _leg(
    character: CharacterSpec, side: Side, hips: tuple[Vector, Matrix], floor: tuple[Vector, Matrix], sign: float
) -> Leg:
    """`hips` and `floor`: origin and axes; the floor's axes are aligned with the character's heading."""
    p = character.proportions
    pelvis, pelvis_axes = hips
    origin, room = floor
    up = room[:, 1]
    hip = pelvis + pelvis_axes @ vector(sign * p.hip_width * 0.62, -0.02, 0.0)
    length = p.thigh + p.shin
    out, rise, forward = side.foot
    sole = p.foot * 0.28
    place = vector(sign * (p.hip_width * 0.72 + out * length), 0.0, forward * length)
    target = origin + room @ place + up * (sole + rise * length)
    forwards = room @ vector(sign * 0.22, 0.0, 1.0)
    knee, ankle = two_bone(hip, target, p.thigh, p.shin, forwards + room[:, 0] * (sign * 0.12))
    toes = side.toes
    forwards = unit(forwards)
    direction = forwards * math.cos(toes) - up * math.sin(toes)
    below = -up * math.cos(toes) - forwards * math.sin(toes)
    aside = room[:, 0] * sign
    heel = ankle + below * (sole * 0.62) - direction * (p.foot * 0.22)
    ball = ankle + below * (sole * 0.62) + direction * (p.foot * 0.70)
    return Leg(hip, knee, ankle, heel, ball - aside * (p.foot * 0.1), ball + aside * (p.foot * 0.16) - direction * 0.01)
