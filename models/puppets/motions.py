"""Motions: each a function from a phase in cycles and an amplitude to a pose. Dances and everyday movements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from models.puppets.pose import REST_ARM, Pose, Side, Triple

Motion = Callable[[float, float], Pose]


def _sin(phase: float) -> float:
    return math.sin(2.0 * math.pi * phase)


def _cos(phase: float) -> float:
    return math.cos(2.0 * math.pi * phase)


def _ramp(value: float) -> float:
    """Smooth step from 0 to 1 over 0..1."""
    value = min(max(value, 0.0), 1.0)
    return value * value * (3.0 - 2.0 * value)


def _hold(phase: float, sharpness: float = 3.0) -> float:
    """A wave between -1 and 1 that rests at both ends."""
    return math.tanh(sharpness * _sin(phase)) / math.tanh(sharpness)


def _mix(a: Triple, b: Triple, share: float) -> Triple:
    return tuple(x + (y - x) * share for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def _swing(phase: float, gain: float) -> Side:
    """Arm and leg of one side in a walk; the arm goes against the leg."""
    forward = _sin(phase)
    lifted = max(0.0, _cos(phase))
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
        root=(0.0, 0.012 * a * _cos(2 * p), 0.0),
        crouch=0.05,
        sway=0.015 * _cos(p),
        lean=0.06,
        tilt=0.04 * _cos(p),
        twist=-0.14 * a * _sin(p),
        head_pitch=0.03 * _sin(2 * p),
    )


def walk_across(p: float, a: float) -> Pose:
    """Walks through the picture and back, seen from the side."""
    lap = p / 6.0
    along = _hold(lap + 0.25, 1.3)
    pose = walk_in_place(p, a)
    turn = _cos(lap + 0.25)
    pose.root = (0.42 * along, pose.root[1], 0.0)
    pose.yaw = 1.15 * math.tanh(5.0 * turn)
    return pose


def march(p: float, a: float) -> Pose:
    """High knees, straight arms."""

    def side(q: float) -> Side:
        up = max(0.0, _sin(q))
        down = max(0.0, -_sin(q))
        return Side(
            hand=_mix((0.18, -0.95, 0.05), (0.1, 0.05, 0.85), down * a),
            foot=(0.0, 0.5 * a * up, 0.28 * a * up),
            toes=0.5 * up,
            curl=0.9,
        )

    return Pose(left=side(p), right=side(p + 0.5), crouch=0.02, lean=-0.03, root=(0.0, 0.015 * _cos(2 * p), 0.0))


def wave(p: float, a: float) -> Pose:
    """Greets with one raised hand."""
    swing = _sin(2 * p)
    return Pose(
        left=Side(hand=(0.5 + 0.22 * a * swing, 0.62, 0.18), elbow=(1.0, -0.5, -0.1), curl=0.05, palm=0.3 * swing),
        right=Side(hand=(0.32, -0.72, 0.05), elbow=(1.0, 0.0, -0.4), curl=0.6),
        tilt=-0.05 + 0.03 * swing,
        sway=-0.02,
        head_roll=0.12 * a * swing,
        mouth=0.45 + 0.25 * _sin(p),
        brows=0.7,
    )


def clap(p: float, a: float) -> Pose:
    """Claps in front of the chest."""
    gap = 0.5 + 0.5 * _cos(2 * p)
    hand = (-0.28 + 0.5 * a * gap, -0.12 + 0.12 * _sin(p), 0.62)
    bounce = max(0.0, _sin(2 * p))
    return Pose(
        left=Side(hand=hand, elbow=(1.0, -0.7, -0.2), curl=0.05, palm=0.5),
        right=Side(hand=hand, elbow=(1.0, -0.7, -0.2), curl=0.05, palm=0.5),
        crouch=0.05 * bounce,
        tilt=0.06 * _sin(p),
        head_roll=0.1 * _sin(p),
        mouth=0.5,
        brows=0.5,
    )


def squat(p: float, a: float) -> Pose:
    """Bends the knees with the arms held forward."""
    down = 0.5 - 0.5 * _cos(p)
    side = Side(hand=_mix((0.2, -0.9, 0.1), (0.0, 0.02, 0.95), down), foot=(0.12, 0.0, 0.0), curl=0.15)
    return Pose(
        left=side, right=side, crouch=0.42 * a * down, lean=0.35 * a * down, head_pitch=-0.25 * down, mouth=0.3 * down
    )


def stretch(p: float, a: float) -> Pose:
    """Reaches up and leans to either side."""
    side = _sin(p)
    up = Side(hand=(-0.05, 0.97, 0.08), elbow=(1.0, 0.0, 0.2), curl=0.1)
    hip = Side(hand=(0.25, -0.62, 0.02), elbow=(1.0, 0.1, -0.5), curl=0.8)
    share = _ramp(0.5 + 0.9 * side)
    left = Side(hand=_mix(hip.hand, up.hand, 1 - share), elbow=(1.0, 0.05, -0.3), curl=0.3)
    right = Side(hand=_mix(hip.hand, up.hand, share), elbow=(1.0, 0.05, -0.3), curl=0.3)
    return Pose(left=left, right=right, tilt=0.38 * a * side, sway=-0.03 * side, head_roll=0.15 * side, blink=0.0)


def talk(p: float, a: float) -> Pose:
    """Speaks and moves both hands."""
    return Pose(
        left=Side(hand=(0.25 + 0.12 * a * _sin(p), -0.35 + 0.22 * a * _cos(1.5 * p), 0.5), curl=0.2, palm=0.8),
        right=Side(hand=(0.2 + 0.14 * a * _cos(p), -0.4 + 0.22 * a * _sin(2 * p), 0.48), curl=0.2, palm=0.8),
        head_yaw=0.3 * a * _sin(0.5 * p),
        head_pitch=0.08 * _sin(2 * p),
        tilt=0.03 * _sin(p),
        mouth=0.25 + 0.35 * abs(_sin(3 * p)),
        brows=0.6 * _sin(p),
    )


def arm_wave(p: float, a: float) -> Pose:
    """A wave that runs from one hand to the other through stretched arms."""

    def side(delay: float) -> Side:
        return Side(
            hand=(0.9, 0.42 * a * _sin(p - delay), 0.15),
            elbow=(0.0, 1.6 * _sin(p - delay + 0.22), -0.4),
            curl=0.1,
            palm=0.3 * _sin(p - delay - 0.1),
        )

    return Pose(
        left=side(0.0),
        right=side(0.45),
        tilt=0.12 * a * _sin(p - 0.22),
        sway=0.03 * _sin(p - 0.22),
        head_roll=0.15 * _sin(p - 0.2),
        crouch=0.04,
        mouth=0.3,
    )


def disco(p: float, a: float) -> Pose:
    """Points up across the body and down again, one hand on the hip."""
    up = 0.5 + 0.5 * _hold(p)
    return Pose(
        left=Side(
            hand=_mix((-0.62, -0.45, 0.5), (0.55, 0.78, 0.2), up),
            elbow=(1.0, -0.5, 0.2),
            curl=0.95,
            pointing=1.0,
        ),
        right=Side(hand=(0.2, -0.6, 0.08), elbow=(1.0, 0.1, -0.5), curl=0.8, foot=(0.1, 0.0, 0.0)),
        sway=0.05 * a * _hold(p),
        tilt=-0.16 * a * _hold(p),
        twist=0.2 * a * _hold(p),
        crouch=0.05 + 0.05 * abs(_cos(p)),
        head_yaw=0.35 * _hold(p),
        head_pitch=-0.15 * _hold(p),
        mouth=0.4 * up,
        brows=0.5,
    )


def jumping_jack(p: float, a: float) -> Pose:
    """Jumps with arms and legs apart and together."""
    open_ = 0.5 - 0.5 * _cos(p)
    angle = 1.35 - 2.5 * open_
    side = Side(
        hand=(0.97 * math.cos(angle), -0.97 * math.sin(angle), 0.1),
        elbow=(0.6, 0.0, -1.0),
        curl=0.1,
        foot=(0.32 * a * open_, 0.0, 0.0),
    )
    hop = abs(_sin(p))
    return Pose(left=side, right=side, root=(0.0, 0.09 * a * hop, 0.0), crouch=0.06 * (1 - hop), mouth=0.6 * hop)


def twist(p: float, a: float) -> Pose:
    """Hips against shoulders, knees bent, on the balls of the feet."""
    s = _sin(p)
    low = 0.12 + 0.08 * _sin(p / 4.0)

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
    beat = _hold(p, 8.0)
    other = _hold(p + 0.25, 8.0)
    left = _mix((0.5, -0.5, 0.5), (0.5, 0.5, 0.5), 0.5 + 0.5 * beat)
    right = _mix((0.5, 0.5, 0.5), (0.5, -0.5, 0.5), 0.5 + 0.5 * other)
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
    s = _sin(p)
    lift_left, lift_right = max(0.0, -_cos(p)) * (s < 0.5), max(0.0, _cos(p)) * (s > -0.5)
    return Pose(
        left=Side(hand=(0.1 + 0.55 * a * s, -0.55, 0.45), curl=0.7, foot=(0.06, 0.08 * lift_left, 0.0)),
        right=Side(hand=(0.1 - 0.55 * a * s, -0.55, 0.45), curl=0.7, foot=(0.06, 0.08 * lift_right, 0.0)),
        root=(0.12 * a * s, 0.0, 0.0),
        sway=0.03 * s,
        tilt=0.1 * a * s,
        crouch=0.07 + 0.04 * _cos(2 * p),
        head_roll=0.14 * s,
        mouth=0.35,
    )


def turn(p: float, a: float) -> Pose:
    """Turns on the spot with the arms held out, a full turn in two cycles."""
    spin = p / 2.0
    yaw = 2.0 * math.pi * (math.floor(spin) + _ramp(spin - math.floor(spin)))
    side = Side(hand=(0.78, -0.3 + 0.2 * a * _sin(p), 0.25), elbow=(0.5, -0.6, -0.8), curl=0.1)
    return Pose(left=side, right=side, yaw=yaw, root=(0.0, 0.02 * abs(_sin(2 * p)), 0.0), crouch=0.04, mouth=0.3)


def shy(p: float, a: float) -> Pose:
    """Hands together in front, rocking, one toe drawing on the floor."""
    s = _sin(p)
    hand = (-0.3, -0.72, 0.42)
    return Pose(
        left=Side(hand=hand, elbow=(1.0, 0.0, -0.5), curl=0.5, foot=(0.03 * s, 0.0, 0.0)),
        right=Side(hand=hand, elbow=(1.0, 0.0, -0.5), curl=0.5, foot=(0.0, 0.03, 0.14 + 0.06 * s), toes=0.45),
        twist=0.3 * a * s,
        tilt=0.08 * s,
        head_pitch=0.18,
        head_roll=0.15 * s,
        blink=1.0 if _sin(p / 2) > 0.93 else 0.0,
    )


def swim(p: float, a: float) -> Pose:
    """Arms circle one after the other."""

    def side(q: float) -> Side:
        return Side(hand=(0.22, 0.78 * a * _sin(q), 0.25 + 0.65 * _cos(q)), elbow=(1.0, 0.0, -0.3), curl=0.15)

    return Pose(
        left=side(p), right=side(p + 0.5), twist=0.3 * a * _sin(p), lean=0.15, crouch=0.08, sway=0.02 * _sin(p)
    )


def floss(p: float, a: float) -> Pose:
    """Straight arms swing past the hips, in front and behind."""
    s, front = _hold(p, 2.0), _hold(p / 2.0 + 0.25, 4.0)
    reach = 0.52 * a

    def side(sign: float) -> Side:
        return Side(hand=(0.08 + sign * reach * s, -0.82, 0.34 * front * sign + 0.12), elbow=(0.2, 0.0, -1.0), curl=0.9)

    return Pose(
        left=side(1.0), right=side(-1.0), sway=-0.06 * a * s, tilt=0.08 * s, crouch=0.07, mouth=0.35, head_roll=0.06 * s
    )


def ballet(p: float, a: float) -> Pose:
    """A pirouette with the arms rounded overhead and one foot at the knee."""
    spin = p / 2.0
    turn_share = _ramp(1.25 * (spin - math.floor(spin)))
    up = math.sin(math.pi * turn_share)
    hand = _mix((0.75, -0.3, 0.3), (-0.12, 0.82, 0.25), _ramp(1.3 * up))
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


def kick(p: float, a: float) -> Pose:
    """Kicks forward with one leg and then the other."""
    s = _sin(p)
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
    s = _sin(p - 0.25)
    down, up = _ramp(-1.4 * s), _ramp(1.4 * s)
    hand = _mix(_mix((0.1, -0.75, 0.3), (-0.05, -0.8, 0.55), down), (0.0, 0.9, 0.25), up)
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
    pump = 0.5 + 0.5 * _sin(2 * p)
    hop = max(0.0, _sin(2 * p))
    side = Side(hand=(0.42, 0.45 + 0.42 * a * pump, 0.2), elbow=(1.0, -0.7, 0.0), curl=1.0)
    return Pose(
        left=side, right=side, root=(0.0, 0.07 * a * hop, 0.0), crouch=0.08 * (1 - hop), mouth=0.85, brows=0.8
    )


def stand(p: float, a: float) -> Pose:
    """Breathes, looks about and shifts its weight: what a character does that holds something."""
    side = Side(hand=REST_ARM, foot=(0.03, 0.0, 0.0))
    return Pose(
        left=side,
        right=Side(hand=REST_ARM, foot=(0.03, 0.0, 0.0)),
        sway=0.03 * a * _sin(0.5 * p),
        tilt=0.07 * a * _sin(0.5 * p),
        crouch=0.03 + 0.02 * _sin(p),
        head_yaw=0.35 * _sin(0.5 * p + 0.1),
        head_roll=0.1 * _sin(p),
        mouth=0.25 + 0.25 * _sin(0.7 * p),
    )


TRAIN_MOTIONS: Mapping[str, Motion] = MappingProxyType(
    {
        motion.__name__: motion
        for motion in (
            walk_in_place,
            walk_across,
            march,
            wave,
            clap,
            squat,
            stretch,
            talk,
            arm_wave,
            disco,
            jumping_jack,
            twist,
            robot,
            side_step,
            turn,
            shy,
            swim,
            stand,
        )
    }
)
HELDOUT_MOTIONS: Mapping[str, Motion] = MappingProxyType(
    {motion.__name__: motion for motion in (floss, ballet, kick, pick_up, cheer)}
)
MOTIONS: Mapping[str, Motion] = MappingProxyType({**TRAIN_MOTIONS, **HELDOUT_MOTIONS})
