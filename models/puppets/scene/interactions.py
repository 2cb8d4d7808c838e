"""Interactions with objects: adjustment of the pose, and the paths of objects that change hands or fly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from models.puppets.character.body import Skeleton
from models.puppets.drawing.geometry import vector
from models.puppets.motion.everyday import walk_in_place
from models.puppets.motion.pose import Pose, Side, Triple
from models.puppets.motion.rhythm import cosine, mix, ramp, sine
from models.puppets.scene.held import Grip, grip_of, held_grip, holding_hands, main_hand
from models.puppets.scene.nearby import seat_height
from models.puppets.spec import CharacterSpec, Interaction, InteractionSpec, ObjectSpec, PuppetVideoSpec

GRAVITY = 5.8
"""Body heights per second squared, for a body of 1.7 m."""
SEAT_OFFSET = 0.08
"""Distance between the centres of pelvis and seat, body heights; paints the character over the seat."""
_SIDEWAYS = 1.25  # yaw of a walk across the picture, radians
_OUT: Triple = (0.5, -0.3, 0.45)
_ASIDE: Triple = (0.5, -0.62, 0.08)
_IDLE: Triple = (0.25, -0.75, 0.3)
_EXCHANGE = 0.06  # half the duration of an exchange, in periods
_START_SECONDS = 0.4  # from standing to the full speed of a walk


def interact(pose: Pose, spec: PuppetVideoSpec, seconds: float) -> Pose:
    """Pose adjusted to the interaction of the video."""
    interaction = spec.interaction
    if interaction is None:
        return pose
    if interaction.kind == "sat_on":
        pose = _sit(pose, spec)
    elif interaction.kind != "held":
        pose = _MOVEMENTS[interaction.kind](pose, spec, interaction, seconds)
    yaw = _turning(interaction, spec.motion.yaw + pose.yaw, seconds)
    return pose if yaw is None else replace(pose, yaw=yaw - spec.motion.yaw)


def standing_yaw(item: ObjectSpec, interaction: InteractionSpec | None, seconds: float) -> float:
    """Yaw of an object on the floor, in radians; a seat turns with the character."""
    if interaction is None or interaction.kind != "sat_on":
        return item.yaw
    yaw = _turning(interaction, item.yaw, seconds)
    return item.yaw if yaw is None else yaw


def _turning(interaction: InteractionSpec, yaw: float, seconds: float) -> float | None:
    """Yaw during the turn towards `yaw`, None after it."""
    # A throw begins before the clip does: `seconds` may be negative.
    if interaction.turn_seconds == 0 or seconds >= interaction.turn_seconds:
        return None
    share = ramp(seconds / interaction.turn_seconds)
    return interaction.turn_from + (yaw - interaction.turn_from) * share


def grip_at(
    item: ObjectSpec, interaction: InteractionSpec | None, seconds: float, skeleton_at: Callable[[float], Skeleton]
) -> Grip:
    """Grip of a held object at a time. `skeleton_at`: the carrying character's skeleton at a time in seconds."""
    if interaction is not None and interaction.kind == "thrown":
        return _thrown(item, interaction, seconds, skeleton_at)
    if interaction is not None and interaction.kind in {"passed", "passed_around"}:
        return _passed(interaction, skeleton_at(seconds), seconds)
    return held_grip(item, skeleton_at(seconds))


def hands_on_objects(spec: PuppetVideoSpec) -> frozenset[int]:
    """Hands (0 left, 1 right) that are busy with objects."""
    if spec.interaction is not None and spec.interaction.kind in {"passed", "passed_around"}:
        return frozenset({0, 1})
    return frozenset(hand for item in spec.objects if item.held for hand in holding_hands(item))


def flight_seconds(interaction: InteractionSpec) -> float:
    """Duration of a flight up to the height `interaction.reach` and down again."""
    return math.sqrt(8.0 * interaction.reach / GRAVITY)


def _cycle(interaction: InteractionSpec, seconds: float) -> float:
    """Elapsed share of the period, 0 to 1."""
    return (seconds / interaction.period_seconds + interaction.phase) % 1.0


def _throw(pose: Pose, spec: PuppetVideoSpec, interaction: InteractionSpec, seconds: float) -> Pose:
    elapsed = _cycle(interaction, seconds) * interaction.period_seconds
    in_hand = interaction.period_seconds - flight_seconds(interaction)
    dip = math.sin(math.pi * min(elapsed / in_hand, 1.0))
    flown = max(elapsed - in_hand, 0.0) / flight_seconds(interaction)
    grip: Triple = (0.3, -0.28 - 0.22 * dip, 0.6)

    def side(old: Side) -> Side:
        return replace(old, hand=grip, elbow=(0.6, -0.9, -0.3), curl=0.3, pointing=0.0, palm=0.0)

    left = main_hand(next(item for item in spec.objects if item.held)) == 0
    return replace(
        pose,
        left=side(pose.left) if left else pose.left,
        right=pose.right if left else side(pose.right),
        lean=0.4 * pose.lean,
        head_pitch=-0.3 * math.sin(math.pi * flown),
    )


def _thrown(
    item: ObjectSpec, interaction: InteractionSpec, seconds: float, skeleton_at: Callable[[float], Skeleton]
) -> Grip:
    hand = main_hand(item)
    flight = flight_seconds(interaction)
    since_release = (_cycle(interaction, seconds) - 1.0) * interaction.period_seconds + flight
    if since_release <= 0.0:
        return grip_of(skeleton_at(seconds), hand)
    start = grip_of(skeleton_at(seconds - since_release), hand).place
    end = grip_of(skeleton_at(seconds - since_release + flight), hand).place
    share = since_release / flight
    height = 4.0 * interaction.reach * share * (1.0 - share)
    return Grip(start + (end - start) * share + vector(0.0, height, 0.0), hand)


def _hand_at_the_middle(character: CharacterSpec, rise: float, forward: float) -> Triple:
    p = character.proportions
    return (-0.9 * p.shoulder_width / (p.upper_arm + p.forearm), rise, forward)


def _pass(pose: Pose, spec: PuppetVideoSpec, interaction: InteractionSpec, seconds: float) -> Pose:
    middle = _hand_at_the_middle(spec.character, -0.35, 0.5)
    towards_left = -cosine(_cycle(interaction, seconds))

    def side(old: Side, away: float) -> Side:
        hand = mix(middle, _OUT if away > 0.0 else _IDLE, ramp(abs(away)))
        return replace(old, hand=hand, elbow=(0.8, -0.8, -0.3), curl=0.4, pointing=0.0, palm=0.0)

    return replace(
        pose,
        left=side(pose.left, towards_left),
        right=side(pose.right, -towards_left),
        lean=0.4 * pose.lean,
        head_yaw=0.3 * towards_left,
        head_pitch=0.15,
    )


def _pass_around(pose: Pose, spec: PuppetVideoSpec, interaction: InteractionSpec, seconds: float) -> Pose:
    cycle = _cycle(interaction, seconds)
    behind = 0.5 - 0.5 * cosine(cycle)
    front = _hand_at_the_middle(spec.character, -0.5, 0.45)
    back = _hand_at_the_middle(spec.character, -0.66, -0.42)
    hand = mix(mix(front, _ASIDE, 2.0 * behind), mix(_ASIDE, back, 2.0 * behind - 1.0), float(behind > 0.5))

    def side(old: Side) -> Side:
        return replace(old, hand=hand, elbow=(1.0, -0.3, -0.6), curl=0.4, pointing=0.0, palm=0.0)

    return replace(
        pose,
        left=side(pose.left),
        right=side(pose.right),
        lean=0.4 * pose.lean,
        twist=0.0,
        head_yaw=0.35 * sine(cycle),
        head_pitch=0.1,
    )


def _passed(interaction: InteractionSpec, skeleton: Skeleton, seconds: float) -> Grip:
    """Grip of an object that the left hand has in the middle of the period, the right hand at its ends."""
    cycle = _cycle(interaction, seconds)
    if interaction.kind == "passed_around":
        cycle = (cycle + 0.25) % 1.0  # there the left hand has it in the first half
    distance = 0.25 - abs(cycle - 0.5)  # in periods, from the nearer exchange; positive in the left hand
    share = ramp(0.5 + 0.5 * distance / _EXCHANGE)
    left, right = grip_of(skeleton, 0), grip_of(skeleton, 1)
    return Grip(right.place + (left.place - right.place) * share, 0 if share > 0.5 else 1)


def _sit(pose: Pose, spec: PuppetVideoSpec) -> Pose:
    seat = next(item for item in spec.objects if not item.held)
    p = spec.character.proportions
    hips = seat_height(seat) + 1.1 * p.leg_radius - 0.28 * p.foot  # over the soles

    def side(old: Side, ahead: float) -> Side:
        return replace(old, foot=(0.04, 0.0, ahead), toes=0.0)

    return replace(
        pose,
        left=side(pose.left, 0.5),
        right=side(pose.right, 0.43),
        root=(seat.x, 0.0, seat.z + SEAT_OFFSET),
        yaw=0.0,
        sway=0.0,
        crouch=0.985 - hips / (p.thigh + p.shin),
        lean=0.3 * pose.lean,
        tilt=0.6 * pose.tilt,
        twist=0.6 * pose.twist,
    )


def _walk(pose: Pose, spec: PuppetVideoSpec, interaction: InteractionSpec, seconds: float) -> Pose:
    motion = spec.motion
    amplitude = motion.amplitude
    if interaction.turn_seconds:
        seconds = max(seconds - interaction.turn_seconds, 0.0)
        started = min(seconds / _START_SECONDS, 1.0)
        amplitude *= ramp(started)
        seconds -= _START_SECONDS * (started - 0.5 * started * started)  # constant acceleration
    steps = walk_in_place(seconds * motion.speed + motion.phase, amplitude)
    lap = 0.5 * (seconds / interaction.period_seconds + interaction.phase) - 0.25
    heading = -1.0 if motion.mirrored else 1.0
    along = heading * math.asin(sine(lap)) * 2.0 / math.pi
    return replace(
        pose,
        left=replace(pose.left, foot=steps.left.foot, toes=steps.left.toes),
        right=replace(pose.right, foot=steps.right.foot, toes=steps.right.toes),
        root=(interaction.reach * along, steps.root[1], 0.0),
        yaw=heading * _SIDEWAYS * math.tanh(6.0 * cosine(lap)),
        sway=steps.sway,
        crouch=steps.crouch,
        lean=steps.lean,
        tilt=0.3 * pose.tilt,
        twist=0.4 * pose.twist,
    )


_MOVEMENTS: Mapping[Interaction, Callable[[Pose, PuppetVideoSpec, InteractionSpec, float], Pose]] = MappingProxyType(
    {
        "thrown": _throw,
        "passed": _pass,
        "passed_around": _pass_around,
        "walked_behind": _walk,
        "walked_in_front": _walk,
    }
)
INTERACTIONS: tuple[Interaction, ...] = ("held", "sat_on", *_MOVEMENTS)
