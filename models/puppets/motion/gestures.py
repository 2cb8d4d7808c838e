"""Gestures of a talking upper body: functions from a phase in cycles and an amplitude (1: as authored) to a pose."""

from __future__ import annotations

from dataclasses import replace

from models.puppets.motion.pose import REST_ARM, Pose, Side
from models.puppets.motion.rhythm import cosine, hold, mix, ramp, sine
from models.puppets.spec import Proportions

_HANGING = Side(hand=REST_ARM)


def greet(p: float, a: float) -> Pose:
    """Waves one hand beside the head."""
    swing = sine(2 * p)
    return Pose(
        left=Side(hand=(0.08 + 0.1 * a * swing, 0.36, 0.26), elbow=(0.3, -1.0, -0.1), curl=0.05, palm=0.25 * swing),
        right=_HANGING,
        sway=-0.008,
        tilt=0.03 * swing,
        head_roll=0.09 * a * swing,
        head_yaw=0.1 * sine(0.5 * p),
        head_pitch=0.04 * sine(p),
    )


def explain(p: float, a: float) -> Pose:
    """Moves both hands before the chest."""
    return Pose(
        left=Side(hand=(0.1 + 0.14 * a * sine(p), -0.3 + 0.18 * a * cosine(1.5 * p), 0.5), curl=0.2, palm=0.8),
        right=Side(hand=(0.08 + 0.14 * a * cosine(p), -0.32 + 0.18 * a * sine(2 * p), 0.48), curl=0.2, palm=0.8),
        tilt=0.04 * sine(p),
        head_yaw=0.14 * a * sine(0.5 * p),
        head_pitch=0.07 * sine(2 * p),
        head_roll=0.05 * sine(1.5 * p),
    )


def nod(p: float, a: float) -> Pose:
    """Nods and rocks with hanging arms."""
    return Pose(
        left=_HANGING,
        right=_HANGING,
        sway=0.012 * sine(0.5 * p),
        tilt=0.06 * a * sine(0.5 * p),
        head_yaw=0.12 * sine(0.5 * p + 0.1),
        head_pitch=0.12 * a * sine(2 * p),
        head_roll=0.08 * sine(p),
    )


def point_up(p: float, a: float) -> Pose:
    """Raises a finger and beats time with it."""
    beat = 0.5 + 0.5 * hold(2 * p, 2.0)
    up = ramp(0.5 + 1.2 * sine(0.5 * p + 0.1))
    raised = (0.12, 0.2 + 0.14 * a * beat, 0.2)
    return Pose(
        left=Side(hand=mix((0.06, -0.3, 0.5), raised, up), elbow=(0.3, -1.0, 0.0), curl=0.95, pointing=1.0),
        right=Side(hand=(0.12, -0.75, 0.3), curl=0.5),
        tilt=-0.03 * a,
        head_pitch=0.06 * beat,
        head_yaw=-0.1 * up,
        head_roll=0.06 * sine(p),
    )


def greet_with_both(p: float, a: float) -> Pose:
    """Waves both hands beside the head."""

    def side(swing: float) -> Side:
        return Side(hand=(0.08 + 0.08 * a * swing, 0.32, 0.26), elbow=(0.3, -1.0, -0.1), curl=0.05, palm=0.25 * swing)

    swing = sine(2 * p)
    return Pose(
        left=side(swing), right=side(-swing), tilt=0.04 * swing, head_roll=0.1 * a * swing, head_yaw=0.08 * swing
    )


def shrug(p: float, a: float) -> Pose:
    """Turns the hands out and drops them again, with a tilted head."""
    out = ramp(0.5 + 1.1 * sine(p))
    side = Side(hand=mix((0.12, -0.8, 0.2), (0.34 * a, -0.3, 0.4), out), elbow=(0.5, -0.8, -0.4), curl=0.15, palm=1.0)
    return Pose(
        left=side,
        right=side,
        tilt=0.05 * sine(0.5 * p),
        head_roll=0.16 * a * out * hold(0.5 * p, 2.0),
        head_pitch=-0.06 * out,
        head_yaw=0.1 * sine(0.5 * p),
    )


def clear_of_face(pose: Pose, proportions: Proportions) -> Pose:
    """Move raised hands outwards by the width of the head, so that they do not cover the face."""
    arm = proportions.upper_arm + proportions.forearm
    if not arm:
        return pose
    chin = 0.06 * proportions.torso + 0.8 * proportions.neck - 0.2 * proportions.head_height
    beside = proportions.head_width + 0.6 * min(proportions.hand, proportions.head_width)
    room = max(beside - proportions.shoulder_width, 0.0) / arm

    def clear(side: Side) -> Side:
        out, rise, forward = side.hand
        tip = rise * arm + proportions.hand
        return replace(side, hand=(out + room * ramp((tip - chin) / (0.5 * arm)), rise, forward))

    return replace(pose, left=clear(pose.left), right=clear(pose.right))
