"""Everyday motions: functions from a phase in cycles and an amplitude (1: as authored) to a pose."""

from __future__ import annotations

import math

from models.puppets.motion.pose import REST_ARM, Pose, Side
from models.puppets.motion.rhythm import cosine, hold, mix, ramp, sine


def _swing(phase: float, gain: float) -> Side:
    """Arm and leg of one side in a walk; the arm swings opposite to the leg."""
    forward = sine(phase)
    lifted = max(0.0, cosine(phase))
    return Side(
        hand=(0.2, -0.9 + 0.06 * abs(forward), 0.12 - 0.5 * gain * forward),
        elbow=(0.3, -0.4, -1.0),
        foot=(0.0, 0.16 * gain * lifted, 0.34 * gain * forward),
        toes=0.5 * gain * lifted * (forward < 0.3) - 0.15 * gain * max(0.0, forward),
    )


def walk_in_place(p: float, a: float) -> Pose:
    """Steps on the spot."""
    return Pose(
        left=_swing(p, a),
        right=_swing(p + 0.5, a),
        root=(0.0, 0.012 * a * cosine(2 * p), 0.0),
        crouch=0.05,
        sway=0.015 * cosine(p),
        lean=0.06,
        tilt=0.04 * cosine(p),
        twist=-0.14 * a * sine(p),
        head_pitch=0.03 * sine(2 * p),
    )


def walk_across(p: float, a: float) -> Pose:
    """Walks through the picture and back, seen from the side."""
    lap = p / 6.0
    along = hold(lap + 0.25, 1.3)
    pose = walk_in_place(p, a)
    turn = cosine(lap + 0.25)
    pose.root = (0.33 * along, pose.root[1], 0.0)
    pose.yaw = 1.15 * math.tanh(5.0 * turn)
    return pose


def march(p: float, a: float) -> Pose:
    """High knees, straight arms."""

    def side(q: float) -> Side:
        up = max(0.0, sine(q))
        down = max(0.0, -sine(q))
        return Side(
            hand=mix((0.18, -0.95, 0.05), (0.1, 0.05, 0.85), down * a),
            foot=(0.0, 0.5 * a * up, 0.28 * a * up),
            toes=0.5 * up,
            curl=0.9,
        )

    return Pose(left=side(p), right=side(p + 0.5), crouch=0.02, lean=-0.03, root=(0.0, 0.015 * cosine(2 * p), 0.0))


def wave(p: float, a: float) -> Pose:
    """Greets with one raised hand."""
    swing = sine(2 * p)
    return Pose(
        left=Side(hand=(0.5 + 0.22 * a * swing, 0.62, 0.18), elbow=(1.0, -0.5, -0.1), curl=0.05, palm=0.3 * swing),
        right=Side(hand=(0.32, -0.72, 0.05), elbow=(1.0, 0.0, -0.4), curl=0.6),
        tilt=-0.05 + 0.03 * swing,
        sway=-0.02,
        head_roll=0.12 * a * swing,
        mouth=0.45 + 0.25 * sine(p),
        brows=0.7,
    )


def clap(p: float, a: float) -> Pose:
    """Claps in front of the chest."""
    gap = 0.5 + 0.5 * cosine(2 * p)
    hand = (-0.28 + 0.5 * a * gap, -0.12 + 0.12 * sine(p), 0.62)
    bounce = max(0.0, sine(2 * p))
    return Pose(
        left=Side(hand=hand, elbow=(1.0, -0.7, -0.2), curl=0.05, palm=0.5),
        right=Side(hand=hand, elbow=(1.0, -0.7, -0.2), curl=0.05, palm=0.5),
        crouch=0.05 * bounce,
        tilt=0.06 * sine(p),
        head_roll=0.1 * sine(p),
        mouth=0.5,
        brows=0.5,
    )


def squat(p: float, a: float) -> Pose:
    """Bends the knees with the arms held forward."""
    down = 0.5 - 0.5 * cosine(p)
    side = Side(hand=mix((0.2, -0.9, 0.1), (0.0, 0.02, 0.95), down), foot=(0.12, 0.0, 0.0), curl=0.15)
    return Pose(
        left=side, right=side, crouch=0.42 * a * down, lean=0.35 * a * down, head_pitch=-0.25 * down, mouth=0.3 * down
    )


def stretch(p: float, a: float) -> Pose:
    """Reaches up and leans to either side."""
    side = sine(p)
    up = Side(hand=(-0.05, 0.97, 0.08), elbow=(1.0, 0.0, 0.2), curl=0.1)
    hip = Side(hand=(0.25, -0.62, 0.02), elbow=(1.0, 0.1, -0.5), curl=0.8)
    share = ramp(0.5 + 0.9 * side)
    left = Side(hand=mix(hip.hand, up.hand, 1 - share), elbow=(1.0, 0.05, -0.3), curl=0.3)
    right = Side(hand=mix(hip.hand, up.hand, share), elbow=(1.0, 0.05, -0.3), curl=0.3)
    return Pose(left=left, right=right, tilt=0.38 * a * side, sway=-0.03 * side, head_roll=0.15 * side, blink=0.0)


def talk(p: float, a: float) -> Pose:
    """Speaks and moves both hands."""
    return Pose(
        left=Side(hand=(0.25 + 0.12 * a * sine(p), -0.35 + 0.22 * a * cosine(1.5 * p), 0.5), curl=0.2, palm=0.8),
        right=Side(hand=(0.2 + 0.14 * a * cosine(p), -0.4 + 0.22 * a * sine(2 * p), 0.48), curl=0.2, palm=0.8),
        head_yaw=0.3 * a * sine(0.5 * p),
        head_pitch=0.08 * sine(2 * p),
        tilt=0.03 * sine(p),
        mouth=0.25 + 0.35 * abs(sine(3 * p)),
        brows=0.6 * sine(p),
    )


def shy(p: float, a: float) -> Pose:
    """Hands together in front, rocking, one toe drawing on the floor."""
    s = sine(p)
    hand = (-0.3, -0.72, 0.42)
    return Pose(
        left=Side(hand=hand, elbow=(1.0, 0.0, -0.5), curl=0.5, foot=(0.03 * s, 0.0, 0.0)),
        right=Side(hand=hand, elbow=(1.0, 0.0, -0.5), curl=0.5, foot=(0.0, 0.03, 0.14 + 0.06 * s), toes=0.45),
        twist=0.3 * a * s,
        tilt=0.08 * s,
        head_pitch=0.18,
        head_roll=0.15 * s,
        blink=1.0 if sine(p / 2) > 0.93 else 0.0,
    )


def swim(p: float, a: float) -> Pose:
    """Arms circle one after the other."""

    def side(q: float) -> Side:
        return Side(hand=(0.22, 0.78 * a * sine(q), 0.25 + 0.65 * cosine(q)), elbow=(1.0, 0.0, -0.3), curl=0.15)

    return Pose(left=side(p), right=side(p + 0.5), twist=0.3 * a * sine(p), lean=0.15, crouch=0.08, sway=0.02 * sine(p))


def kick(p: float, a: float) -> Pose:
    """Kicks forward with one leg and then the other."""
    s = sine(p)
    left, right = max(0.0, s) ** 1.5, max(0.0, -s) ** 1.5
    return Pose(
        left=Side(
            hand=(0.3, -0.6, 0.3 - 0.5 * left), curl=0.9, foot=(0.0, 0.52 * a * left, 0.75 * a * left), toes=0.3 * left
        ),
        right=Side(
            hand=(0.3, -0.6, 0.3 - 0.5 * right),
            curl=0.9,
            foot=(0.0, 0.52 * a * right, 0.75 * a * right),
            toes=0.3 * right,
        ),
        lean=-0.2 * max(left, right),
        crouch=0.04,
        twist=0.25 * s,
        mouth=0.5 * max(left, right),
    )


def pick_up(p: float, a: float) -> Pose:
    """Bends down to the floor, comes up and lifts both hands overhead."""
    s = sine(p - 0.25)
    down, up = ramp(-1.4 * s), ramp(1.4 * s)
    hand = mix(mix((0.1, -0.75, 0.3), (-0.05, -0.8, 0.55), down), (0.0, 0.9, 0.25), up)
    side = Side(hand=hand, elbow=(1.0, -0.2, -0.4), curl=0.5, foot=(0.08, 0.0, 0.0))
    return Pose(
        left=side,
        right=side,
        crouch=0.4 * a * down + 0.03,
        lean=0.75 * a * down - 0.08 * up,
        head_pitch=0.1 * down - 0.15 * up,
        mouth=0.6 * up,
        brows=0.6 * up,
    )


def cheer(p: float, a: float) -> Pose:
    """Pumps both fists and hops."""
    pump = 0.5 + 0.5 * sine(2 * p)
    hop = max(0.0, sine(2 * p))
    side = Side(hand=(0.42, 0.45 + 0.42 * a * pump, 0.2), elbow=(1.0, -0.7, 0.0), curl=1.0)
    return Pose(left=side, right=side, root=(0.0, 0.07 * a * hop, 0.0), crouch=0.08 * (1 - hop), mouth=0.85, brows=0.8)


def stand(p: float, a: float) -> Pose:
    """Breathes, looks around and shifts weight; suits characters that hold an object."""
    side = Side(hand=REST_ARM, foot=(0.03, 0.0, 0.0))
    return Pose(
        left=side,
        right=Side(hand=REST_ARM, foot=(0.03, 0.0, 0.0)),
        sway=0.03 * a * sine(0.5 * p),
        tilt=0.07 * a * sine(0.5 * p),
        crouch=0.03 + 0.02 * sine(p),
        head_yaw=0.35 * sine(0.5 * p + 0.1),
        head_roll=0.1 * sine(p),
        mouth=0.25 + 0.25 * sine(0.7 * p),
    )
