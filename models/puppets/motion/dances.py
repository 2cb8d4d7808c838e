"""Dance motions: functions from a phase in cycles and an amplitude (1: as authored) to a pose."""

from __future__ import annotations

import math

from models.puppets.motion.pose import Pose, Side
from models.puppets.motion.rhythm import cosine, hold, mix, ramp, sine


def arm_wave(p: float, a: float) -> Pose:
    """A wave from one hand to the other through the stretched arms."""

    def side(delay: float) -> Side:
        return Side(
            hand=(0.9, 0.42 * a * sine(p - delay), 0.15),
            elbow=(0.0, 1.6 * sine(p - delay + 0.22), -0.4),
            curl=0.1,
            palm=0.3 * sine(p - delay - 0.1),
        )

    return Pose(
        left=side(0.0),
        right=side(0.45),
        tilt=0.12 * a * sine(p - 0.22),
        sway=0.03 * sine(p - 0.22),
        head_roll=0.15 * sine(p - 0.2),
        crouch=0.04,
        mouth=0.3,
    )


def disco(p: float, a: float) -> Pose:
    """Points up across the body and down again, one hand on the hip."""
    up = 0.5 + 0.5 * hold(p)
    return Pose(
        left=Side(
            hand=mix((-0.62, -0.45, 0.5), (0.55, 0.78, 0.2), up),
            elbow=(1.0, -0.5, 0.2),
            curl=0.95,
            pointing=1.0,
        ),
        right=Side(hand=(0.2, -0.6, 0.08), elbow=(1.0, 0.1, -0.5), curl=0.8, foot=(0.1, 0.0, 0.0)),
        sway=0.05 * a * hold(p),
        tilt=-0.16 * a * hold(p),
        twist=0.2 * a * hold(p),
        crouch=0.05 + 0.05 * abs(cosine(p)),
        head_yaw=0.35 * hold(p),
        head_pitch=-0.15 * hold(p),
        mouth=0.4 * up,
        brows=0.5,
    )


def jumping_jack(p: float, a: float) -> Pose:
    """Jumps with arms and legs apart and together."""
    open_ = 0.5 - 0.5 * cosine(p)
    angle = 1.35 - 2.5 * open_
    side = Side(
        hand=(0.97 * math.cos(angle), -0.97 * math.sin(angle), 0.1),
        elbow=(0.6, 0.0, -1.0),
        curl=0.1,
        foot=(0.32 * a * open_, 0.0, 0.0),
    )
    hop = abs(sine(p))
    return Pose(left=side, right=side, root=(0.0, 0.09 * a * hop, 0.0), crouch=0.06 * (1 - hop), mouth=0.6 * hop)


def twist(p: float, a: float) -> Pose:
    """Hips rotate against the shoulders, with bent knees, on the balls of the feet."""
    s = sine(p)
    low = 0.12 + 0.08 * sine(p / 4.0)

    def side(sign: float) -> Side:
        return Side(
            hand=(0.35, -0.35 + 0.18 * sign * s, 0.42),
            elbow=(1.0, -0.4, -0.5),
            curl=0.85,
            foot=(0.05, 0.0, 0.06 * sign * s),
            toes=0.15,
        )

    return Pose(
        left=side(1.0),
        right=side(-1.0),
        yaw=0.5 * a * s,
        twist=-0.85 * a * s,
        crouch=low,
        sway=0.03 * s,
        lean=0.1,
        mouth=0.3,
    )


def robot(p: float, a: float) -> Pose:
    """Stiff right angles that change on the beat."""
    beat = hold(p, 8.0)
    other = hold(p + 0.25, 8.0)
    left = mix((0.5, -0.5, 0.5), (0.5, 0.5, 0.5), 0.5 + 0.5 * beat)
    right = mix((0.5, 0.5, 0.5), (0.5, -0.5, 0.5), 0.5 + 0.5 * other)
    return Pose(
        left=Side(hand=left, elbow=(1.0, -0.1 - beat, 0.0), curl=0.0),
        right=Side(hand=right, elbow=(1.0, -0.1 + other, 0.0), curl=0.0),
        twist=0.35 * a * other,
        head_yaw=-0.5 * a * beat,
        tilt=0.1 * a * beat,
        crouch=0.03,
    )


def side_step(p: float, a: float) -> Pose:
    """Steps from side to side and swings the arms across the body."""
    s = sine(p)
    lift_left, lift_right = max(0.0, -cosine(p)) * (s < 0.5), max(0.0, cosine(p)) * (s > -0.5)
    return Pose(
        left=Side(hand=(0.1 + 0.55 * a * s, -0.55, 0.45), curl=0.7, foot=(0.06, 0.08 * lift_left, 0.0)),
        right=Side(hand=(0.1 - 0.55 * a * s, -0.55, 0.45), curl=0.7, foot=(0.06, 0.08 * lift_right, 0.0)),
        root=(0.12 * a * s, 0.0, 0.0),
        sway=0.03 * s,
        tilt=0.1 * a * s,
        crouch=0.07 + 0.04 * cosine(2 * p),
        head_roll=0.14 * s,
        mouth=0.35,
    )


def turn(p: float, a: float) -> Pose:
    """Turns on the spot with the arms held out, a full turn in two cycles."""
    spin = p / 2.0
    yaw = 2.0 * math.pi * (math.floor(spin) + ramp(spin - math.floor(spin)))
    side = Side(hand=(0.78, -0.3 + 0.2 * a * sine(p), 0.25), elbow=(0.5, -0.6, -0.8), curl=0.1)
    return Pose(left=side, right=side, yaw=yaw, root=(0.0, 0.02 * abs(sine(2 * p)), 0.0), crouch=0.04, mouth=0.3)


def floss(p: float, a: float) -> Pose:
    """Straight arms swing past the hips, in front and behind."""
    s, front = hold(p, 2.0), hold(p / 2.0 + 0.25, 4.0)
    reach = 0.52 * a

    def side(sign: float) -> Side:
        return Side(hand=(0.08 + sign * reach * s, -0.82, 0.34 * front * sign + 0.12), elbow=(0.2, 0.0, -1.0), curl=0.9)

    return Pose(
        left=side(1.0), right=side(-1.0), sway=-0.06 * a * s, tilt=0.08 * s, crouch=0.07, mouth=0.35, head_roll=0.06 * s
    )


def ballet(p: float, a: float) -> Pose:
    """A pirouette with the arms rounded overhead and one foot at the knee."""
    spin = p / 2.0
    turn_share = ramp(1.25 * (spin - math.floor(spin)))
    up = math.sin(math.pi * turn_share)
    hand = mix((0.75, -0.3, 0.3), (-0.12, 0.82, 0.25), ramp(1.3 * up))
    side = Side(hand=hand, elbow=(1.0, 0.0, 0.0), curl=0.2, toes=0.5 * up)
    raised = Side(hand=hand, elbow=(1.0, 0.0, 0.0), curl=0.2, foot=(0.05, 0.4 * a * up, 0.05 * up), toes=0.9 * up)
    return Pose(
        left=side,
        right=raised,
        yaw=2.0 * math.pi * (math.floor(spin) + turn_share),
        root=(0.0, 0.03 * up, 0.0),
        head_pitch=-0.1 * up,
        crouch=0.06 * (1 - up),
    )
